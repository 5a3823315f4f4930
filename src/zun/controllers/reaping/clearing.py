# SPDX-License-Identifier: Apache-2.0
"""Clears away what was named, if it is to go; what went wrong is looked at again, later each time."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.request_scope import in_request
from zun.base.workset import Workset
from zun.controllers.reaping.judging import Verdict, asked_by, judge, judge_image
from zun.controllers.reaping.leftovers import Leftovers
from zun.controllers.reaping.removal import Removal, Remover
from zun.model.errors import Internal, Invalid, Timeout, Unavailable, ZunError
from zun.store import keys
from zun.store.batching import batches, merged
from zun.store.fencing import Fence
from zun.store.interface import Delete, Op, unchanged
from zun.store.view import ContainerEntry, View
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.metrics import REAPED

_LOG = logging.getLogger(__name__)
_AGAIN = Backoff(first_seconds=0.01, cap_seconds=5.0)
_TOGETHER = 3
"""After so many failures a container is removed in a transaction of its own, so that it cannot hold others up."""


class Clearer:
    """One leadership's writer of removals."""

    def __init__(
        self,
        view: View,
        clock: Clock,
        fence: Fence,
        *,
        remover: Remover,
        leftovers: Leftovers,
        waiting: Workset[str],
        tasks: asyncio.TaskGroup,
        meter: Meter = NO_METER,
    ) -> None:
        self._view = view
        self._clock = clock
        self._fence = fence
        self._remover = remover
        self._leftovers = leftovers
        self._waiting = waiting
        self._tasks = tasks
        self._meter = meter
        self._tries: dict[str, int] = {}

    async def turn(self, named: Sequence[str]) -> None:
        """Judge what was named and clear away what is to go; return when the view shows it. Raises `LeadershipLost`."""
        async with asyncio.TaskGroup() as reading:
            read = [
                reading.create_task(self._removal(key.removeprefix(keys.CONTAINERS)))
                for key in named
                if key.startswith(keys.CONTAINERS)
            ]
        removals = [removal for removal in (task.result() for task in read) if removal is not None]
        revision = await self._remove(removals)
        for key in named:
            if key.startswith(keys.IMAGES):
                revision = max(revision, await self._clear_image(key.removeprefix(keys.IMAGES)))
            elif key.startswith(keys.INBOX):
                revision = max(revision, await self._clear_leftover(key))
        await self._catch_up(revision)

    async def _catch_up(self, revision: int) -> None:
        """Later decisions shall see what was written; where they do not, the store refuses them."""
        try:
            await self._view.at_least(revision)
        except Timeout as error:
            _LOG.warning("After clearing away: %s", error.message)

    async def _removal(self, uuid: str) -> Removal | None:
        entry = self._view.container(uuid)
        if entry is None:
            self._tries.pop(keys.container(uuid), None)
            return None
        try:
            record = entry.record()
            verdict = judge(record, entry.place(), entry.seen(), node_alive=self._is_alive(entry.node))
            if verdict is Verdict.KEEP:
                return None
            with in_request(asked_by(record)):
                return await self._removal_unless_away(entry, verdict)
        except Internal as error:
            _LOG.error("Container %s cannot be cleared away: %s", uuid, error.message)
        return None

    async def _removal_unless_away(self, entry: ContainerEntry, verdict: Verdict) -> Removal | None:
        try:
            return await self._remover.removal(entry, verdict)
        except (Unavailable, Timeout) as error:
            self._again(keys.container(entry.uuid), error)
            return None

    async def _remove(self, removals: Sequence[Removal]) -> int:
        """The revision of the last write."""
        ready = [removal for removal in removals if await self._prepare(removal)]
        ready.sort(key=attrgetter("project_id"))
        revision = 0
        for project_id, group in groupby(ready, key=attrgetter("project_id")):
            together: list[Removal] = []
            alone: list[list[Removal]] = []
            for removal in group:
                if self._tries.get(keys.container(removal.uuid), 0) > _TOGETHER:
                    alone.append([removal])
                else:
                    together.append(removal)
            for batch in [*batches(together, spare=1), *alone]:
                revision = max(revision, await self._remove_batch(project_id, batch))
        return revision

    async def _prepare(self, removal: Removal) -> bool:
        """Complete what of a long history does not fit into the last transaction. Done again after a crash, it changes nothing."""
        for ops in removal.before:
            result = await self._fence.transact(removal.compares, ops)
            if not result.succeeded:
                await self._conflict([removal])
                return False
        return True

    async def _remove_batch(self, project_id: str, batch: Sequence[Removal]) -> int:
        await self._view.fresh()
        compares, ops = merged(batch)
        usage_unchanged, give_back = self._remover.give_back(project_id, batch)
        try:
            result = await self._fence.transact([*compares, usage_unchanged], [*ops, *give_back])
        except Invalid as error:
            _LOG.error("%d containers cannot be removed in one transaction: %s", len(batch), error.message)
            await self._conflict(batch)
            return 0
        if not result.succeeded:
            await self._conflict(batch)
            return 0
        await self._catch_up(result.revision)
        for removal in batch:
            self._tries.pop(keys.container(removal.uuid), None)
            self._meter.count(REAPED, "container")
            if removal.order:
                self._waiting.add(removal.order)  # the node may have said that it is gone just before
            with in_request(removal.request_id):
                _LOG.info("Container %s is cleared away.", removal.uuid)
        return result.revision

    async def _clear_image(self, uuid: str) -> int:
        image = self._view.image(uuid)
        if image is None:
            return 0
        wish = image.wish
        verdict = judge_image(wish, image.observation, node_alive=self._is_alive(wish.node))
        if verdict is Verdict.KEEP:
            return 0
        order = keys.image_inbox(wish.node, uuid)
        ops: list[Op] = [Delete(keys.image(uuid))]
        if verdict is Verdict.REMOVE:
            ops.append(Delete(order))
        result = await self._fence.transact([unchanged(keys.image(uuid), image.wish_revision)], ops)
        if result.succeeded:
            self._meter.count(REAPED, "image")
            if verdict is Verdict.REMOVE_AND_LEAVE_ORDER:
                self._waiting.add(order)
        return result.revision  # when it failed somebody changed it, and that names it again

    async def _clear_leftover(self, inbox_key: str) -> int:
        try:
            compares, ops = await self._leftovers.ops(inbox_key)
        except (Unavailable, Timeout) as error:
            self._again(inbox_key, error)
            return 0
        return (await self._fence.transact(compares, ops)).revision if ops else 0

    def _is_alive(self, node_name: str) -> bool:
        node = self._view.node(node_name)
        return node is not None and node.alive

    async def _conflict(self, batch: Sequence[Removal]) -> None:
        await self._view.fresh()
        for removal in batch:
            self._again(keys.container(removal.uuid))

    def _again(self, key: str, error: ZunError | None = None) -> None:
        if error is not None:
            _LOG.warning("%s is looked at again later: %s", key, error.message)
        tried = self._tries[key] = self._tries.get(key, 0) + 1
        self._tasks.create_task(self._look_later(key, _AGAIN.delay(tried - 1)))

    async def _look_later(self, key: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._waiting.add(key)
