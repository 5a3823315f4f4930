# SPDX-License-Identifier: Apache-2.0
"""Watches the engine: its events, and from time to time everything, because an event can be missed.

Events and lists only say where to look; what is true is what the look shows.
"""

import asyncio
import logging
from typing import NoReturn

from zun.agent.found import Found
from zun.agent.supervisor import Supervisor
from zun.agent.tools import Tools
from zun.agent.waiting import Bell
from zun.base.backoff import Backoff
from zun.drivers.runtime.base import Runtime
from zun.drivers.runtime.types import RuntimeEventKind
from zun.model.errors import Timeout, Unavailable

_log = logging.getLogger(__name__)

AWAY_AFTER = 3
"""So many failed tries in a row make the engine count as away, and its containers as unknown."""


class Watching:
    """Two loops over one engine."""

    def __init__(self, runtime: Runtime, supervisor: Supervisor, tools: Tools) -> None:
        self._containers = runtime.containers
        self._engine = tools.engine
        self._known_store = tools.known_store
        self._supervisor = supervisor
        self._clock = tools.clock
        self._sync_seconds = tools.options.sync_seconds
        self._retry = Backoff(first_seconds=0.5, cap_seconds=10.0)
        self._bell = Bell(tools.clock)

    async def run(self) -> NoReturn:
        """Listen and compare until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="engine events")
            group.create_task(self._sync(), name="engine sync")
        raise AssertionError("only cancellation ends it")

    async def _listen(self) -> NoReturn:
        failures = 0
        while True:
            try:
                async with self._containers.events() as events:
                    # What happened before the stream began is found by comparing.
                    self._bell.ring()
                    failures = 0
                    async for event in events:
                        if event.kind is not RuntimeEventKind.OTHER:
                            self._supervisor.heard(event)
                _log.warning("the engine ended its events; listening again")
            except (Unavailable, Timeout) as error:
                _log.warning("listening to the engine: %s", error)
            self._bell.ring()
            await self._clock.sleep(self._retry.delay(failures))
            failures += 1

    async def _sync(self) -> NoReturn:
        failures = 0
        while True:
            await self._bell.wait(self._sync_seconds if not failures else self._retry.delay(failures))
            try:
                sandboxes = await self._engine.list_sandboxes()
                there = Found(await self._engine.list(), sandboxes)
            except (Unavailable, Timeout) as error:
                failures += 1
                _log.warning("comparing with the engine: %s", error)
                if failures == AWAY_AFTER:
                    self._supervisor.engine_away()
                continue
            if failures >= AWAY_AFTER:
                self._supervisor.doubt_all()
            if failures:
                self._supervisor.engine_back()
            failures = 0
            try:
                await self._known_store.there_are({one.handle for one in there.everything})
                await self._supervisor.remove_strays(self._supervisor.compare(there.containers, there.sandboxes))
                await self._supervisor.release_strays()
            except (Unavailable, Timeout) as error:
                _log.warning("nothing is removed that is in no inbox, trying again later: %s", error)
