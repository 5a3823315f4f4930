# SPDX-License-Identifier: Apache-2.0
"""Failures on order: errors, delays and hangs by verb, so that a test can say what goes wrong and when."""

import asyncio
from collections import Counter
from dataclasses import dataclass

from zun.base.clock import Clock
from zun.model.errors import Unavailable, ZunError


@dataclass(slots=True)
class _Failure:
    error: ZunError
    times: int | None
    skip: int
    after: bool


class Faults:
    """What is to go wrong. Verbs are the port's names: create, start, pull, exec_start, get_archive …"""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, list[_Failure]] = {}
        self._delays: dict[str, float] = {}
        self._hangs: dict[str, asyncio.Event] = {}
        self.calls: Counter[str] = Counter()
        self.away = False

    def fail(self, verb: str, error: ZunError, *, times: int | None = 1, skip: int = 0, after: bool = False) -> None:
        """Let the next `times` calls of a verb fail (None: every call), the first `skip` excepted.

        With `after` the engine does what it was asked and the answer is lost: the caller sees the error all the same.
        """
        self._failures.setdefault(verb, []).append(_Failure(error, times, skip, after))

    def delay(self, verb: str, seconds: float) -> None:
        """Let every call of a verb take so long (0: no longer)."""
        self._delays[verb] = seconds

    def hang(self, verb: str) -> asyncio.Event:
        """Let every call of a verb wait until the returned event is set."""
        return self._hangs.setdefault(verb, asyncio.Event())

    def clear(self) -> None:
        """Everything goes well again; who hangs goes on."""
        for event in self._hangs.values():
            event.set()
        self._failures.clear()
        self._delays.clear()
        self._hangs.clear()
        self.away = False

    async def before(self, verb: str) -> None:
        """Called by each verb before it does anything."""
        self.calls[verb] += 1
        if self._hangs and verb in self._hangs:
            await self._hangs[verb].wait()
        if self._delays and self._delays.get(verb):
            await self._clock.sleep(self._delays[verb])
        self.check_away()
        if self._failures:
            self._raise(verb, after=False)

    def after(self, verb: str) -> None:
        """Called by each verb that changes something, after it did."""
        if self._failures:
            self._raise(verb, after=True)

    def check_away(self) -> None:
        """Raises `Unavailable` while the engine is away."""
        if self.away:
            raise Unavailable("The fake engine does not answer. Bring it back with come_back().")

    def _raise(self, verb: str, *, after: bool) -> None:
        for failure in self._failures.get(verb, ()):
            if failure.after is not after or failure.times == 0:
                continue
            if failure.skip > 0:
                failure.skip -= 1
                continue
            if failure.times is not None:
                failure.times -= 1
            raise failure.error
