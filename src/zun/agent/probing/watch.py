# SPDX-License-Identifier: Apache-2.0
"""One run of one container under its checks: each is asked at its times; the verdict on all of them is kept here."""

import asyncio
import zlib
from collections.abc import Callable

import msgspec

from zun.agent.probing.asking import Ask
from zun.agent.probing.checks import ENDING, CheckKind
from zun.agent.probing.judging import Judge, worst
from zun.agent.probing.subject import Subject
from zun.base.clock import Clock
from zun.model.states import Health

_LEAST_WAIT_SECONDS = 1.0
"""Between an answer and the next time, however long the answer took."""


class Verdict(msgspec.Struct, frozen=True):
    """How a container is. `why`: what it failed; `ends`: it is to be ended for that."""

    health: Health
    why: str = ""
    ends: bool = False


class Watch:
    """Of one run. `changed` is called, with this, when the verdict is another."""

    def __init__(self, subject: Subject, ask: Ask, clock: Clock, changed: "Callable[[Watch], None]") -> None:
        self.subject = subject
        self._ask = ask
        self._clock = clock
        self._changed = changed
        judges = [Judge(check, subject.known) for check in subject.checks]
        self._startup = next((one for one in judges if one.check.kind is CheckKind.STARTUP), None)
        self._others = [one for one in judges if one is not self._startup]
        self._resumed = subject.known is Health.HEALTHY
        self.verdict = self._judged()

    async def run(self) -> None:
        """Ask until cancelled, or until the container is to be ended. Run again after a pause, it goes on."""
        if self._startup is not None:
            await self._repeat(self._startup)
        if not self.verdict.ends:
            async with asyncio.TaskGroup() as group:
                for judge in self._others:
                    group.create_task(self._repeat(judge))

    async def _repeat(self, judge: Judge) -> None:
        """Ask again and again. A startup check that has passed is asked no more."""
        probe = judge.check.probe
        wait: float = probe.delay
        if self._resumed:
            wait = probe.period * _spread(self.subject.uuid)
        while not (self.verdict.ends or (judge is self._startup and judge.health is Health.HEALTHY)):
            await self._clock.sleep(wait)
            began = self._clock.monotonic()
            judge.take(await self._ask(self.subject, probe))
            self._tell()
            wait = max(_LEAST_WAIT_SECONDS, probe.period - (self._clock.monotonic() - began))

    def resume(self) -> None:
        """The next run of this is after a pause: what is to wait from the start of the container did so."""
        self._resumed = True

    def _tell(self) -> None:
        before, self.verdict = self.verdict, self._judged()
        if before != self.verdict:
            self._changed(self)

    def _judged(self) -> Verdict:
        judges = self._others
        if self._startup is not None and (not judges or self._startup.health is not Health.HEALTHY):
            judges = [self._startup]
        found = worst(judges)
        failed = next((one for one in judges if one.check.kind in ENDING and one.health is Health.UNHEALTHY), None)
        shown = failed or found
        why = f"Its {shown.check.kind} failed: {shown.why}" if shown.health is Health.UNHEALTHY else ""
        return Verdict(shown.health, why, failed is not None)


def _spread(uuid: str) -> float:
    """A part of the whole, another for each container: after a restart of the agent not all are asked at once."""
    return zlib.crc32(uuid.encode()) / 0x1_0000_0000
