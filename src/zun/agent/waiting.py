# SPDX-License-Identifier: Apache-2.0
"""Waiting for "something happened, or it is time", on the clock that was handed in."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from zun.base.clock import Clock

T = TypeVar("T")


class Bell:
    """Rung by whoever has news; one task waits for it. Ringing while nobody waits is remembered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = False
        self._woken = asyncio.Event()

    def ring(self) -> None:
        """There is news."""
        self._rung = True
        self._woken.set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Until the bell rings, at most `seconds` (None: however long). Returns whether it rang."""
        if not self._rung:
            if seconds is None:
                await self._woken.wait()
            else:
                await self._wait_for(seconds)
        rang, self._rung = self._rung, False
        self._woken.clear()
        return rang

    async def _wait_for(self, seconds: float) -> None:
        alarm = asyncio.ensure_future(self._alarm(seconds))
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()

    async def _alarm(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._woken.set()


async def first_of(wanted: Awaitable[T], instead: "asyncio.Future[int]") -> T | None:
    """What is waited for; None when `instead` came before it, or together with it: then `wanted` is given up."""
    waiting = asyncio.ensure_future(wanted)
    try:
        either: list[asyncio.Future[Any]] = [waiting, instead]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return None if instead.done() else await waiting
    finally:
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
