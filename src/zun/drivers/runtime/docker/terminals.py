# SPDX-License-Identifier: Apache-2.0
"""Which containers have a terminal.

With one the engine's output is raw, without it is framed, and the answer itself does not say which. It never changes for a container,
so it is remembered rather than asked for again before each look at a log.
"""

from collections import OrderedDict

from zun.drivers.runtime.docker.engine import Engine

_REMEMBERED = 20_000


class Terminals:
    """A memory of bounded size; what it does not know it asks the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: OrderedDict[str, bool] = OrderedDict()

    def remember(self, handle: str, *, tty: bool) -> None:
        """Known from now on."""
        self._known[handle] = tty
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, handle: str) -> None:
        """It is gone."""
        self._known.pop(handle, None)

    async def of_container(self, handle: str) -> bool:
        """Whether a container has a terminal. Raises `NotFound`."""
        known = self._known.get(handle)
        if known is None:
            told = await self._engine.call("GET", f"containers/{handle}/json", "show the container")
            known = bool(told["Config"]["Tty"])
            self.remember(handle, tty=known)
        return known
