# SPDX-License-Identifier: Apache-2.0
"""The reaping loop: clears away what is gone, at once, and now and then forgets old history."""

import asyncio
import logging

from zun.base.clock import Clock
from zun.base.workset import Workset
from zun.controllers.reaping.clearing import Clearer
from zun.controllers.reaping.leftovers import Leftovers
from zun.controllers.reaping.looking import Lookout
from zun.controllers.reaping.purging import expired
from zun.controllers.reaping.removal import Remover
from zun.model.errors import Timeout, Unavailable
from zun.store.fencing import Fence
from zun.store.interface import Store
from zun.store.view import View
from zun.telemetry.meter import NO_METER, Meter

_LOG = logging.getLogger(__name__)
_AT_ONCE = 64
"""Things judged in one turn."""


class ReapingLoop:
    """Clears away while this process leads. Runs once at a time."""

    def __init__(
        self,
        *,
        store: Store,
        view: View,
        clock: Clock,
        retention_seconds: float,
        purge_interval_seconds: float,
        meter: Meter = NO_METER,
    ) -> None:
        """`retention_seconds`: how long the history of what is gone is kept; `purge_interval_seconds`: between looks at its age."""
        self._store = store
        self._view = view
        self._clock = clock
        self._purge_interval = purge_interval_seconds
        self._meter = meter
        self._remover = Remover(store, view, clock, retention_seconds)
        self._leftovers = Leftovers(store, view, clock)

    async def run(self, fence: Fence) -> None:
        """Until cancelled. Raises `LeadershipLost` (in a group)."""
        await self._view.ready()
        await self._view.fresh()
        waiting: Workset[str] = Workset()
        lookout = Lookout(self._view, self._clock, self._leftovers, waiting)
        async with asyncio.TaskGroup() as tasks:
            clearer = Clearer(
                self._view,
                self._clock,
                fence,
                remover=self._remover,
                leftovers=self._leftovers,
                waiting=waiting,
                tasks=tasks,
                meter=self._meter,
            )
            tasks.create_task(lookout.follow())
            tasks.create_task(self._purge(fence))
            while True:
                await clearer.turn(await waiting.take(_AT_ONCE))

    async def _purge(self, fence: Fence) -> None:
        while True:
            try:
                async for deletions in expired(self._store, self._clock.now()):
                    await fence.transact([], deletions)
            except (Unavailable, Timeout) as error:
                _LOG.warning("Old history is forgotten later: %s", error.message)
            await self._clock.sleep(self._purge_interval)
