# SPDX-License-Identifier: Apache-2.0
"""Time as something that is handed in, so that tests own it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where logic gets the time from."""

    def now(self) -> float:
        """Seconds since the epoch, UTC (wall clock: for records and for people)."""

    def monotonic(self) -> float:
        """Seconds that never go backwards (for durations and deadlines)."""

    async def sleep(self, seconds: float) -> None:
        """Wait, giving way to other tasks."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until a test moves it; sleepers wake when their time has come."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        """The set time."""
        return self._now

    def monotonic(self) -> float:
        """The set time."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved far enough."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        entry = (self._now + seconds, woken)
        self._sleepers.append(entry)
        try:
            await woken.wait()
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)

    def advance(self, seconds: float) -> None:
        """Move the time forward and wake who is due."""
        self._now += seconds
        for due, woken in list(self._sleepers):
            if due <= self._now:
                woken.set()
