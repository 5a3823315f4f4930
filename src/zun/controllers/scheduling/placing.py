# SPDX-License-Identifier: Apache-2.0
"""Turns a plan into a decision: the place, the node's inbox, sealed files and address claims; or the failure that people see."""

from collections.abc import Callable, Iterable

import msgspec

from zun.base.clock import Clock
from zun.base.sealing import MasterKey
from zun.controllers.scheduling.cluster import PENDING, Cluster, Held
from zun.controllers.scheduling.decisions import Decision, News
from zun.controllers.scheduling.history import move_line
from zun.controllers.scheduling.planner import NoPlace, Placement, Planner
from zun.controllers.scheduling.pools import claims_of
from zun.controllers.scheduling.requests import Request, request_of
from zun.controllers.scheduling.staging import hand_over
from zun.model.attachments import Attachment
from zun.model.errors import Conflict
from zun.model.moving import Resume
from zun.model.records import Intent, NameClaim, Place, PlaceFailure, Verb
from zun.model.status import NO_HOSTS
from zun.store import codec, keys
from zun.store.inboxes import tell_node
from zun.store.interface import Compare, Delete, Op, Put, Store, absent, unchanged
from zun.store.view import ContainerEntry
from zun.telemetry.metrics import PLACEMENTS, REFUSALS

PLACE = "place"
"""What the leader's part of a request is called in traces."""

TOO_LARGE = "The container with its files is too large to be handed to a node; create it again with less."


class Terms(msgspec.Struct, frozen=True):
    """What comes with a placement beyond the placement itself.

    `resume`: it was elsewhere; `compares`, `ops` and `before` go into the decision; `refuse(reason, detail)` is what is decided when it cannot be
    handed over after all.
    """

    refuse: Callable[[str, str], Decision]
    resume: Resume | None = None
    compares: tuple[Compare, ...] = ()
    ops: tuple[Op, ...] = ()
    before: tuple[tuple[Op, ...], ...] = ()


class Placer:
    """Decides about containers without a place. It rotates through the ring of nodes, so equals take turns.

    `heal_delay_seconds`: after so long without its node a container that heals may be placed elsewhere (None: never).
    """

    def __init__(
        self,
        store: Store,
        planner: Planner,
        master_key: MasterKey,
        clock: Clock,
        *,
        heal_delay_seconds: float | None = None,
    ) -> None:
        self._store = store
        self._planner = planner
        self._master_key = master_key
        self._clock = clock
        self._heal_delay = heal_delay_seconds
        self._start = 0

    async def decide(self, entry: ContainerEntry, cluster: Cluster) -> Decision | None:
        """Where `entry` goes, or why nowhere; None when that is known. What it takes is counted in `cluster` before anything is awaited."""
        undecided = Undecided(entry)
        resume = undecided.before.resume if undecided.before is not None else None
        request = request_of(
            undecided.record, networks=resume.networks if resume is not None else None, place=undecided.before
        )
        plan = self.plan(cluster, request)
        if isinstance(plan, NoPlace):
            if resume is not None and not undecided.is_news(plan.detail, self._clock.now()):
                return None
            return self.refuse(undecided, f"{NO_HOSTS} {plan.detail}", plan.detail)
        ops = () if resume is None else (move_line(undecided.record, resume, self._clock.now(), plan.why),)
        terms = Terms(lambda reason, detail: self.refuse(undecided, reason, detail), resume, ops=ops)
        return await self.hand(undecided, request, plan, cluster, terms)

    def plan(self, cluster: Cluster, request: Request) -> Placement | NoPlace:
        """The plan for one more container; nothing is counted yet."""
        plan = self._planner.plan(cluster, request, self._start)
        if isinstance(plan, Placement):
            self._start = (self._start + plan.seen) % len(cluster.ring)
        return plan

    async def hand(
        self, undecided: "Undecided", request: Request, plan: Placement, cluster: Cluster, terms: Terms
    ) -> Decision:
        """Hand a container to the node of the plan. What it takes is counted in `cluster` before anything is awaited."""
        record, began = undecided.record, self._clock.now()
        held = Held(node=plan.node, claim=plan.claim, addresses=plan.addresses, revision=PENDING, tenant=request.tenant)
        cluster.hold(record.uuid, held)
        node = cluster.node(plan.node)
        assert node is not None  # noqa: S101 - the plan is from this cluster
        facts = node.facts
        secrets: list[Op] = []
        if request.secrets:
            try:
                secrets = await hand_over(
                    self._store,
                    self._master_key,
                    record.uuid,
                    facts.name,
                    facts.public_key,
                    keep=record.spec.auto_heal,
                )
            except Conflict as error:
                cluster.undo(record.uuid)
                return terms.refuse(error.message, error.message)
        place = self._place(undecided, plan, terms.resume)
        decided = codec.encode(place, over=undecided.raw)
        had = set(undecided.before.addresses) if undecided.before is not None else set()
        compares = [
            *undecided.unchanged(),
            unchanged(keys.node(facts.name), facts.record_revision),
            *(absent(key) for key in plan.addresses if key not in had),
            *networks_unchanged(plan.attachments or (), cluster),
            *terms.compares,
        ]
        ops: list[Op] = [
            Put(keys.place(record.uuid), decided),
            tell_node(record, undecided.wish_raw, place, decided),
            *(Put(key, codec.encode(NameClaim(record.uuid))) for key in plan.addresses),
            *(Delete(key) for key in sorted(had - set(plan.addresses))),
            *secrets,
            *terms.ops,
        ]
        return Decision(
            uuid=record.uuid,
            compares=tuple(compares),
            ops=tuple(ops),
            held=held,
            otherwise=terms.refuse(TOO_LARGE, TOO_LARGE),
            before=terms.before,
            news=News(
                says=f"Container {record.uuid} goes to node {plan.node}: {plan.why}",
                behind=undecided.behind if terms.resume is None else None,  # a move is nobody's request
                counts=PLACEMENTS,
                began=began,
                span=PLACE,
                node=plan.node,
                waited=terms.resume is None,
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
            resume=before.resume if before is not None else None,
            addresses=kept_claims(before),
            attachments=before.attachments if before is not None else None,
            networks_done=before.networks_done if before is not None else 0,
            networks_refused=before.networks_refused if before is not None else {},
            published=before.published if before is not None else [],
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

    def _place(self, undecided: "Undecided", plan: Placement, resume: Resume | None) -> Place:
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
            attachments=plan.attachments,
            networks_done=before.networks_done if before is not None else 0,
            networks_refused=before.networks_refused if before is not None else {},
            published=list(plan.published),
            why=plan.why,
            resume=resume,
            heal_delay_seconds=self._heal_delay,
            guarded=record.spec.auto_heal and self._heal_delay is not None,
        )


def networks_unchanged(attachments: Iterable[Attachment], cluster: Cluster) -> list[Compare]:
    """The conditions that nobody began to remove a network on which an address is given out."""
    networks = {one.network for one in attachments}
    return [unchanged(*cluster.networks.revision(network)) for network in sorted(networks)]


def kept_claims(before: Place | None) -> list[str]:
    """What a container without a node keeps of what it alone has: its addresses on networks of the control plane, but no node's ports."""
    return claims_of(before.attachments or []) if before is not None else []


_SAY_AGAIN_SECONDS = 60.0


class Undecided:
    """A container that is to be placed, as it was read."""

    def __init__(self, entry: ContainerEntry) -> None:
        self.record = entry.record()
        self.before = entry.place()
        self.wish_raw = entry.wish_raw
        self.seen = entry.seen()
        self.raw = entry.place_raw or None
        self._wish_revision = entry.wish_revision
        self._place_revision = entry.place_revision
        if self.before is None or (self.seen is not None and self.seen.generation != self.before.generation):
            self.seen = None

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

    def is_news(self, detail: str, now: float) -> bool:
        """Whether a reason is worth writing down: it holds figures that change all the time, and it is found anew again and again."""
        known = self.before.failure if self.before is not None else None
        return known is None or (known.detail != detail and now - known.at >= _SAY_AGAIN_SECONDS)
