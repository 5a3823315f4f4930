# SPDX-License-Identifier: Apache-2.0
"""Turns a plan into a decision: the place, the node's inbox, sealed files and address claims; or the failure that people see."""

from zun.base.clock import Clock
from zun.base.sealing import MasterKey
from zun.controllers.scheduling.cluster import PENDING, Cluster, Held
from zun.controllers.scheduling.decisions import Decision, News
from zun.controllers.scheduling.planner import NoPlace, Placement, Planner
from zun.controllers.scheduling.requests import request_of
from zun.controllers.scheduling.staging import hand_over
from zun.model.errors import Conflict
from zun.model.inbox import inbox_of
from zun.model.records import Intent, NameClaim, Place, PlaceFailure, Verb
from zun.model.status import NO_HOSTS
from zun.store import codec, keys
from zun.store.interface import Compare, Op, Put, Store, absent, unchanged
from zun.store.view import ContainerEntry
from zun.telemetry.metrics import PLACEMENTS, REFUSALS

PLACE = "place"
"""What the leader's part of a request is called in traces."""

TOO_LARGE = "The container with its files is too large to be handed to a node; create it again with less."


class Placer:
    """Decides about containers without a place. It rotates through the ring of nodes, so equals take turns."""

    def __init__(self, store: Store, planner: Planner, master_key: MasterKey, clock: Clock) -> None:
        self._store = store
        self._planner = planner
        self._master_key = master_key
        self._clock = clock
        self._start = 0

    async def decide(self, entry: ContainerEntry, cluster: Cluster) -> Decision:
        """Where `entry` goes, or why nowhere. What it takes is counted in `cluster` before anything is awaited."""
        undecided, began = Undecided(entry), self._clock.now()
        record = undecided.record
        request = request_of(record)
        plan = self._planner.plan(cluster, request, self._start)
        if isinstance(plan, NoPlace):
            return self.refuse(undecided, f"{NO_HOSTS} {plan.detail}", plan.detail)
        self._start = (self._start + plan.seen) % len(cluster.ring)
        held = Held(node=plan.node, claim=plan.claim, addresses=plan.addresses, revision=PENDING)
        cluster.hold(record.uuid, held)
        node = cluster.node(plan.node)
        assert node is not None  # noqa: S101 - the plan is from this cluster
        facts = node.facts
        secrets: list[Op] = []
        if request.secrets:
            try:
                secrets = await hand_over(self._store, self._master_key, record.uuid, facts.name, facts.public_key)
            except Conflict as error:
                cluster.revoke(record.uuid)
                return self.refuse(undecided, error.message, error.message)
        place = self._place(undecided, plan)
        claims = [Put(key, codec.encode(NameClaim(record.uuid))) for key in plan.addresses]
        compares = [
            *undecided.unchanged(),
            unchanged(keys.node(facts.name), facts.record_revision),
            *(absent(key) for key in plan.addresses),
        ]
        ops: list[Op] = [
            Put(keys.place(record.uuid), codec.encode(place, over=undecided.raw)),
            Put(keys.inbox(plan.node, record.uuid), codec.encode(inbox_of(record, place))),
            *claims,
            *secrets,
        ]
        return Decision(
            uuid=record.uuid,
            compares=tuple(compares),
            ops=tuple(ops),
            held=held,
            otherwise=self.refuse(undecided, TOO_LARGE, TOO_LARGE),
            news=News(
                says=f"Container {record.uuid} goes to node {plan.node}: {plan.why}",
                behind=undecided.behind,
                counts=PLACEMENTS,
                began=began,
                span=PLACE,
                node=plan.node,
                waited=True,
            ),
        )

    def refuse(self, undecided: "Undecided", reason: str, detail: str) -> Decision:
        """Write down for people why there is no place (`reason`, with `NO_HOSTS` when it is for want of hosts).

        A later intent makes the leader try again.
        """
        record, before = undecided.record, undecided.before
        now = self._clock.now()
        place = Place(
            uuid=record.uuid,
            node="",
            generation=before.generation if before is not None else 0,
            at=now,
            failure=PlaceFailure(reason=reason, detail=detail, at=now, seq=record.seq),
        )
        put = Put(keys.place(record.uuid), codec.encode(place, over=undecided.raw))
        return Decision(
            uuid=record.uuid,
            compares=tuple(undecided.unchanged()),
            ops=(put,),
            news=News(
                says=f"Container {record.uuid} gets no place: {reason}",
                behind=undecided.behind,
                counts=REFUSALS,
                began=now,
                span=PLACE,
            ),
        )

    def _place(self, undecided: "Undecided", plan: Placement) -> Place:
        record, before = undecided.record, undecided.before
        return Place(
            uuid=record.uuid,
            node=plan.node,
            generation=(before.generation if before is not None else 0) + 1,
            at=self._clock.now(),
            claim=plan.claim,
            # The claim was taken from the newest spec, so whatever resize waits is granted with it.
            resize_done=max((intent.n for intent in record.intents if intent.verb is Verb.RESIZE), default=0),
            addresses=list(plan.addresses),
            why=plan.why,
        )


class Undecided:
    """A container without place as it was read."""

    def __init__(self, entry: ContainerEntry) -> None:
        self.record = entry.record()
        self.before = entry.place()
        self.raw = entry.place_raw or None
        self._wish_revision = entry.wish_revision
        self._place_revision = entry.place_revision

    @property
    def behind(self) -> Intent | None:
        """The newest wish: a start that followed a refusal, or the creation itself."""
        return self.record.intents[-1] if self.record.intents else None

    def unchanged(self) -> list[Compare]:
        """The conditions that nobody touched it since."""
        uuid = self.record.uuid
        return [
            unchanged(keys.container(uuid), self._wish_revision),
            unchanged(keys.place(uuid), self._place_revision),
        ]
