# SPDX-License-Identifier: Apache-2.0
"""All containers of the node that the agent itself checks."""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from zun.agent.home import Home
from zun.agent.probing.asking import Ask
from zun.agent.probing.subject import Subject
from zun.agent.probing.watch import Verdict, Watch
from zun.base.clock import Clock
from zun.drivers.runtime.types import Seen

_log = logging.getLogger(__name__)


class Probing:
    """Watches them. Workers say whom (`keep`) and hear when a verdict changes; a look at the engine is completed by what was found (`verdict`)."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._watches: dict[str, tuple[Watch, asyncio.Task[None] | None]] = {}
        self._home = Home()

    async def run(self) -> NoReturn:
        """Give the watches a home; runs until cancelled."""
        await self._home.run()

    def keep(self, uuid: str, subject: Subject | None, changed: Callable[[], None]) -> None:
        """A container was seen so: it is asked from now on, or no more (None). Doing it again changes nothing."""
        watch, task = self._watches.get(uuid, (None, None))
        if watch is not None and (subject is None or subject.run != watch.subject.run):
            self._end(uuid, task)
            watch = task = None
        if subject is None:
            return
        if watch is None:
            watch = Watch(subject, self._ask, self._clock, lambda watch: self._heard(watch, changed))
        elif subject.paused and task is not None:
            task.cancel()
            task = None
            watch.resume()
        if task is None and not subject.paused:
            task = self._begin(watch)
        self._watches[uuid] = (watch, task)

    def verdict(self, uuid: str, handle: str, started_at: float | None) -> Verdict | None:
        """How a run of a container is; None when it is not asked."""
        watch, _ = self._watches.get(uuid, (None, None))
        return watch.verdict if watch is not None and watch.subject.run == (handle, started_at) else None

    def verdict_of(self, seen: Seen) -> Verdict | None:
        """The same for what the engine shows."""
        return self.verdict(seen.uuid, seen.handle, seen.started_at)

    def _begin(self, watch: Watch) -> "asyncio.Task[None]":
        return self._home.begin(watch.run(), f"checks of {watch.subject.uuid}")

    def _end(self, uuid: str, task: "asyncio.Task[None] | None") -> None:
        del self._watches[uuid]
        if task is not None:
            task.cancel()

    def _heard(self, watch: Watch, changed: Callable[[], None]) -> None:
        uuid = watch.subject.uuid
        if self._watches.get(uuid, (None, None))[0] is not watch:
            return  # it was ended when this answer had come already
        _log.info("container %s is %s. %s", uuid, watch.verdict.health.value, watch.verdict.why)
        changed()
