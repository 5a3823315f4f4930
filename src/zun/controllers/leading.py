# SPDX-License-Identifier: Apache-2.0
"""Runs the control loops in the one process that leads, and stops them when it leads no more."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

from zun.base.clock import Clock
from zun.model.errors import NotFound, Timeout, Unavailable
from zun.store import keys
from zun.store.election import Election, Leadership
from zun.store.fencing import Fence, LeadershipLost
from zun.store.interface import Store

ROLE = "controller"
_LOG = logging.getLogger(__name__)


class Loop(Protocol):
    """A control loop."""

    async def run(self, fence: Fence) -> None:
        """Work until cancelled, writing through `fence` alone. Raises `LeadershipLost`."""


class Controller:
    """A process's controllers: candidates until they lead."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        loops: Sequence[Loop],
        *,
        identity: str,
        lease_ttl_seconds: int,
        alone: bool = False,
    ) -> None:
        """`identity` is for people: it stands in the store as the leader's name.

        `alone`: the store serves this process only (an embedded one), so whoever led before is dead and is not waited for.
        """
        self._store = store
        self._clock = clock
        self._loops = loops
        self._election = Election(store, ROLE, identity, lease_ttl_seconds, clock)
        self._alone = alone
        self.leading = False

    async def run(self) -> None:
        """Campaign and lead, again and again, until cancelled."""
        if self._alone:
            await self._bury()
        while True:
            async with await self._election.campaign() as leadership:
                _LOG.info("This process leads now.")
                self.leading = True
                try:
                    await self._lead(leadership)
                except* LeadershipLost:
                    _LOG.warning("This process leads no longer; its control loops stopped.")
                finally:
                    self.leading = False

    async def _bury(self) -> None:
        """End the leadership of a process that died here; should that fail, its lease ends by itself."""
        with suppress(Unavailable, Timeout, NotFound):
            former = await self._store.get(keys.leader(ROLE))
            if former is not None and former.lease:
                await self._store.revoke(former.lease)

    async def _lead(self, leadership: Leadership) -> None:
        """Until the leadership is lost. In a task of its own: a task group that ends with errors forgets that it was cancelled meanwhile."""
        leading = asyncio.create_task(self._run_loops(leadership))
        try:
            await asyncio.wait({leading})
        finally:
            leading.cancel()
            await asyncio.wait({leading})
        leading.result()

    async def _run_loops(self, leadership: Leadership) -> None:
        fence = Fence(self._store, self._clock, leadership.compare())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_until_lost(leadership))
            for loop in self._loops:
                tasks.create_task(loop.run(fence))


async def _until_lost(leadership: Leadership) -> NoReturn:
    await leadership.lost()
    raise LeadershipLost
