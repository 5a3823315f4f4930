# SPDX-License-Identifier: Apache-2.0
"""Who waits for a container's start: sessions that came before it, and sizes given to a terminal that is not there yet."""

import asyncio
from collections import OrderedDict

_REMEMBERED = 1000


class Starts:
    """Starts made by this driver, told at once. Those of an earlier life are found by looking."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._sizes: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def told(self, handle: str) -> None:
        """A container was started just now."""
        for event in self._waiting.get(handle, ()):
            event.set()

    async def wait(self, handle: str, seconds: float) -> None:
        """Return when it is started, or the time is over."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(handle, set())
        waiting.add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(handle, None)

    def keep_size(self, handle: str, size: tuple[int, int]) -> None:
        """The size its terminal is to have when it begins."""
        self._sizes[handle] = size
        while len(self._sizes) > _REMEMBERED:
            self._sizes.popitem(last=False)

    def take_size(self, handle: str) -> tuple[int, int] | None:
        """The size that was given before it began, once."""
        return self._sizes.pop(handle, None)
