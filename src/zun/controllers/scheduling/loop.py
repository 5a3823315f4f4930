# SPDX-License-Identifier: Apache-2.0
"""The scheduling loop: what has no place gets one, at once; what came meanwhile shares the next transaction.

Level-triggered: a change only names a container; what is to be done is read from the records when its turn comes.
"""

import asyncio
import logging
import random
from collections.abc import Collection

from zun.base.clock import Clock
from zun.base.request_scope import in_request
from zun.base.sealing import MasterKey
from zun.base.workset import Workset
from zun.controllers.scheduling import plugging, resizing
from zun.controllers.scheduling.decisions import Decision
from zun.controllers.scheduling.following import Follower
from zun.controllers.scheduling.moving import Mover, reservation
from zun.controllers.scheduling.options import SchedulerOptions
from zun.controllers.scheduling.placing import Placer
from zun.controllers.scheduling.planner import Planner
from zun.controllers.scheduling.telling import Teller
from zun.controllers.scheduling.tenants import Tenants
from zun.controllers.scheduling.writing import Writer
from zun.model.errors import Internal, Timeout, Unavailable
from zun.model.records import ContainerRecord, Place, Verb
from zun.store.fencing import Fence
from zun.store.interface import Store
from zun.store.view import ContainerEntry, View
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.tracing import NO_TRACER, Tracer

_LOG = logging.getLogger(__name__)
_STUCK_SECONDS = 10.0
"""Containers that were elsewhere before, and that no node can have now, are tried again so often."""

_AT_ONCE = 256
"""Containers decided in one turn; news that come meanwhile wait for the next."""


class SchedulingLoop:
    """Places containers while this process leads. Runs once at a time."""

    def __init__(
        self,
        *,
        store: Store,
        view: View,
        clock: Clock,
        master_key: MasterKey,
        options: SchedulerOptions,
        rng: random.Random,
        heal_delay_seconds: float | None = None,
        sandboxes: Collection[str] = (),
        meter: Meter = NO_METER,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """`heal_delay_seconds`: after so long without its node a container that heals may be placed elsewhere (None: never). `sandboxes`: the runtimes behind which
        projects may be neighbours where tenant isolation is `sandboxed`."""
        self._store = store
        self._view = view
        self._clock = clock
        self._options = options
        self._rng = rng
        self._sandboxes = sandboxes
        self._stuck: set[str] = set()
        self._teller = Teller(clock, meter, tracer)
        self._placer = Placer(store, Planner(options), master_key, clock, heal_delay_seconds=heal_delay_seconds)
        self._mover = Mover(store, self._placer, clock)

    async def run(self, fence: Fence) -> None:
        """Until cancelled. Raises `LeadershipLost`. What is known of claims is read anew at every beginning."""
        await self._view.ready()
        await self._view.fresh()
        waiting: Workset[str] = Workset()
        isolated = self._options.tenant_isolation != "none"
        follower = Follower(self._view, self._rng, Tenants(self._sandboxes, isolated=isolated))
        may_refuse = asyncio.Event()
        self._stuck.clear()
        async with asyncio.TaskGroup() as tasks:
            writer = Writer(
                self._store,
                self._view,
                self._clock,
                fence,
                follower=follower,
                waiting=waiting,
                tasks=tasks,
                teller=self._teller,
            )
            tasks.create_task(self._follow(follower, waiting, may_refuse))
            tasks.create_task(self._end_of_grace(may_refuse))
            tasks.create_task(self._try_stuck_again(waiting))
            await may_refuse.wait()
            while True:
                await self._turn(await waiting.take(_AT_ONCE), follower, writer)

    async def _follow(self, follower: Follower, waiting: Workset[str], may_refuse: asyncio.Event) -> None:
        subscription = self._view.subscribe()
        self._look_at_all(follower, waiting, may_refuse)
        while True:
            for change in await subscription.batch():
                if change.kind == "reset":
                    self._look_at_all(follower, waiting, may_refuse)
                    continue
                if follower.apply(change):
                    waiting.update(self._stuck)
                if change.kind == "node" and follower.any_node_up(change.id):
                    may_refuse.set()
                elif change.kind == "container" and (change.deleted or _may_need_work(self._view.container(change.id))):
                    waiting.add(change.id)

    def _look_at_all(self, follower: Follower, waiting: Workset[str], may_refuse: asyncio.Event) -> None:
        follower.rebuild()
        waiting.update(entry.uuid for entry in self._view.containers() if _may_need_work(entry))
        if follower.any_node_up():
            may_refuse.set()

    async def _end_of_grace(self, may_refuse: asyncio.Event) -> None:
        """Just after the start the nodes are about to come: nothing is refused for want of them before this has passed."""
        await self._clock.sleep(self._options.node_grace_seconds)
        may_refuse.set()

    async def _try_stuck_again(self, waiting: Workset[str]) -> None:
        """Room is made without a node coming or going, too."""
        while True:
            await self._clock.sleep(_STUCK_SECONDS)
            waiting.update(self._stuck)

    async def _turn(self, uuids: list[str], follower: Follower, writer: Writer) -> None:
        decisions = []
        for uuid in uuids:
            try:
                decision = await self._decide(uuid, follower, writer)
            except Internal as error:
                _LOG.error("Container %s cannot be placed: %s", uuid, error.message)
                continue
            if decision is not None:
                decisions.append(decision)
        await writer.write(decisions)

    async def _decide(self, uuid: str, follower: Follower, writer: Writer) -> Decision | None:
        """None: there is nothing to do for it, or not now."""
        entry = self._view.container(uuid)
        self._stuck.discard(uuid)
        if entry is None:
            follower.cluster.revoke(reservation(uuid))
            return None
        record, place = entry.record(), entry.place()
        with in_request(record.intents[-1].request_id if record.intents else ""):
            try:
                return await self._decision(entry, record, place, follower)
            except (Unavailable, Timeout) as error:
                _LOG.warning("Container %s is placed later: %s", uuid, error.message)
        writer.again(uuid)
        return None

    async def _decision(
        self, entry: ContainerEntry, record: ContainerRecord, place: Place | None, follower: Follower
    ) -> Decision | None:
        cluster = follower.cluster
        if place is None or place.leaving is None:
            cluster.revoke(reservation(record.uuid))
        if any(intent.verb is Verb.DELETE for intent in record.intents):
            return None
        if place is not None and place.leaving is not None:
            decision = self._remember_stuck(record.uuid, await self._mover.decide(entry, cluster))
            if place.leaving.order is not None or decision is not None:
                return decision
        if entry.node:
            now = self._clock.now()
            return resizing.decide(entry, cluster, now) or plugging.decide(entry, cluster, now)
        refused = place is not None and place.failure is not None and place.failure.seq >= record.seq
        if refused and (place is None or place.resume is None):
            return None
        decision = await self._placer.decide(entry, cluster)
        return self._remember_stuck(record.uuid, decision) if refused else decision

    def _remember_stuck(self, uuid: str, decision: Decision | None) -> Decision | None:
        """A container that was somewhere and has nowhere to go now is tried again, without anybody asking."""
        if decision is None or decision.held is None:
            self._stuck.add(uuid)
        return decision


def _may_need_work(entry: ContainerEntry | None) -> bool:
    """Cheap: not placed, or about to leave its place, or its wish is newer than its place (a resize may wait), or networks change."""
    if entry is None:
        return False
    newer = entry.wish_revision > entry.place_revision
    return not entry.node or newer or entry.may_be_leaving or entry.may_change_networks
