# SPDX-License-Identifier: Apache-2.0
"""Writes decisions, many in a transaction; when something changed meanwhile, the containers concerned are looked at again."""

import asyncio
import logging
from collections.abc import Sequence

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.request_scope import in_request
from zun.base.workset import Workset
from zun.controllers.scheduling.decisions import Decision
from zun.controllers.scheduling.following import Follower
from zun.controllers.scheduling.telling import Teller
from zun.model.errors import Invalid, Timeout, Unavailable
from zun.model.records import NameClaim
from zun.store import codec
from zun.store.batching import batches, merged
from zun.store.fencing import Fence
from zun.store.interface import Store, TxnResult
from zun.store.view import View

_LOG = logging.getLogger(__name__)
_AGAIN = Backoff(first_seconds=0.01, cap_seconds=5.0)


class Writer:
    """One leadership's writer of places. Until a decision is settled, what it takes stays counted in the cluster."""

    def __init__(
        self,
        store: Store,
        view: View,
        clock: Clock,
        fence: Fence,
        *,
        follower: Follower,
        waiting: Workset[str],
        tasks: asyncio.TaskGroup,
        teller: Teller,
    ) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._fence = fence
        self._follower = follower
        self._waiting = waiting
        self._tasks = tasks
        self._teller = teller
        self._tries: dict[str, int] = {}

    async def write(self, decisions: Sequence[Decision]) -> None:
        """Write them, and return when the view shows it. Raises `LeadershipLost`."""
        revision = 0
        ready = [decision for decision in decisions if await self._prepare(decision)]
        for batch in batches(ready):
            revision = max(revision, await self._write_batch(batch))
        try:
            await self._view.at_least(revision)
        except Timeout as error:
            _LOG.warning("After %d decisions: %s", len(decisions), error.message)

    def again(self, uuid: str) -> None:
        """Count for the container what it really has, and look at it again soon; later each time it goes wrong."""
        self._follower.cluster.revoke(uuid)
        self._follower.take(uuid, self._view.container(uuid), self._view.revision)
        tried = self._tries[uuid] = self._tries.get(uuid, 0) + 1
        self._tasks.create_task(self._look_later(uuid, _AGAIN.delay(tried - 1)))

    async def _prepare(self, decision: Decision) -> bool:
        """Write what goes first; whether the rest may follow."""
        for ops in decision.before:
            if not (await self._fence.transact(decision.compares, ops)).succeeded:
                await self._view.fresh()
                self.again(decision.uuid)
                return False
        return True

    async def _look_later(self, uuid: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._waiting.add(uuid)

    async def _write_batch(self, batch: Sequence[Decision]) -> int:
        """The revision of the last write (0: none)."""
        result = await self._transact(batch)
        if result is not None and result.succeeded:
            for decision in batch:
                self._follower.cluster.settle(decision.uuid, result.revision)
                self._tries.pop(decision.uuid, None)
                self._teller.written(decision)
            return result.revision
        if len(batch) > 1:
            return max([await self._write_batch([decision]) for decision in batch])
        if result is None:
            return await self._write_instead(batch[0])
        await self._view.fresh()
        await self._learn_owners(batch[0])
        self.again(batch[0].uuid)
        return 0

    async def _transact(self, batch: Sequence[Decision]) -> TxnResult | None:
        """None when it is too large for the store."""
        compares, ops = merged(batch)
        try:
            return await self._fence.transact(compares, ops)
        except Invalid as error:
            if len(batch) == 1:
                behind = batch[0].news.behind
                with in_request(behind.request_id if behind is not None else ""):
                    _LOG.error("Container %s cannot be handed to a node: %s", batch[0].uuid, error.message)
            return None

    async def _write_instead(self, decision: Decision) -> int:
        """It cannot be written as decided: tell its owner so; without anything to tell, leave it."""
        self._follower.cluster.revoke(decision.uuid)
        self._follower.take(decision.uuid, self._view.container(decision.uuid), self._view.revision)
        return await self._write_batch([decision.otherwise]) if decision.otherwise is not None else 0

    async def _learn_owners(self, decision: Decision) -> None:
        """Fixed addresses that somebody holds of whom no place tells."""
        for address in decision.held.addresses if decision.held is not None else ():
            try:
                claim = await self._store.get(address)
            except (Unavailable, Timeout):
                return  # it is tried again anyway, later each time
            if claim is not None:
                self._follower.cluster.note_owner(address, codec.decode(NameClaim, claim.value).uuid)
