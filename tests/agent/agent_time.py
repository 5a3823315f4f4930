# SPDX-License-Identifier: Apache-2.0
"""Virtual time: an event loop that, when there is nothing to do, moves its clock to the next timer instead of waiting."""

import asyncio
import selectors
from typing import Any


class _Jumping:
    """A selector that never waits for a timer."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self.moved = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = self._selector.select(None if timeout is None else 0)
        if not ready and timeout is not None and timeout > 0:
            self.moved += timeout
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time passes only in jumps."""

    def __init__(self) -> None:
        self._jumping = _Jumping(selectors.DefaultSelector())
        super().__init__(self._jumping)  # type: ignore[arg-type]

    def time(self) -> float:
        return self._jumping.moved
