# SPDX-License-Identifier: Apache-2.0
"""Virtual time: an event loop that, when there is nothing to do, moves its clock to the next timer instead of waiting."""

import asyncio
import selectors
from collections.abc import Callable
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


class LoopClock:
    """The event loop's (virtual) time. As on a real machine, no two looks at the wall clock show the same."""

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> float:
        self._looks += 1
        return 1_700_000_000.0 + asyncio.get_running_loop().time() + self._looks * 1e-6

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def at_once(work: Callable[[], None]) -> None:
    """Disk work without a thread: threads know no virtual time."""
    await asyncio.sleep(0)
    work()
