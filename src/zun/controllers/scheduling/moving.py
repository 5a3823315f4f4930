# SPDX-License-Identifier: Apache-2.0
"""Containers that are to leave their node: to where, and in which order, so that two copies never run
(docs/decisions/0028-who-may-run-what-and-when.md).

Of a node that is lost for long enough: one transaction places it elsewhere and leaves the old node the order to remove it. Of a node that
reports: the order first, as soon as there is another node for it; the new place once it is gone. Nothing is taken away before
there is somewhere to go.
"""

from collections.abc import Callable, Sequence

import msgspec

from zun.base.clock import Clock
from zun.controllers.scheduling.cluster import PENDING, Cluster, Held
from zun.controllers.scheduling.decisions import Decision, News
from zun.controllers.scheduling.history import Past, move_line
from zun.controllers.scheduling.placing import Placer, Terms, Undecided, kept_claims
from zun.controllers.scheduling.planner import NoPlace, Placement
from zun.controllers.scheduling.ports import port_keys
from zun.controllers.scheduling.requests import request_of
from zun.controllers.scheduling.tenants import tenant_in
from zun.model.inbox import removal_order
from zun.model.moving import Leaving, Resume
from zun.model.records import Observation, Place, PlaceFailure, SeenState
from zun.model.status import NO_HOSTS
from zun.store import codec, keys
from zun.store.inboxes import tell_node
from zun.store.interface import Compare, Delete, DeletePrefix, Op, Put, Store, absent, unchanged
from zun.store.view import ContainerEntry

_TO_RUN = frozenset({SeenState.RUNNING, SeenState.PAUSED, SeenState.RESTARTING})
_PERHAPS = frozenset({SeenState.UNKNOWN, SeenState.MISSING})


class Mover:
    """Decides about containers whose place says that they leave."""

    def __init__(self, store: Store, placer: Placer, clock: Clock) -> None:
        self._placer = placer
        self._clock = clock
        self._past = Past(store, clock)

    async def decide(self, entry: ContainerEntry, cluster: Cluster) -> Decision | None:
        """The next step of its move; None when there is none now. Raises `Unavailable`, `Timeout`: its history is read from the store."""
        undecided = Undecided(entry)
        place = undecided.before
        if place is None or place.leaving is None:
            return None
        leaving = place.leaving
        if leaving.order is not None and undecided.seen is not None and undecided.seen.state is SeenState.GONE:
            return await self._when_gone(undecided, place, leaving.order, cluster)
        if leaving.lost_life is not None:
            return await self._when_lost(undecided, place, leaving, leaving.lost_life, cluster)
        return self._order(undecided, place, leaving, cluster) if leaving.order is None else None

    async def _when_lost(
        self, undecided: Undecided, place: Place, leaving: Leaving, life: int, cluster: Cluster
    ) -> Decision | None:
        """Its node is silent for so long that nothing of it runs there: place it elsewhere, and leave the node the order for its return."""
        resume = leaving.order or _resume(undecided, place, leaving)
        if undecided.seen is not None:
            resume = msgspec.structs.replace(resume, intent_done=max(resume.intent_done, undecided.seen.intent_done))
        found = self._search(undecided, place, resume, cluster)
        if isinstance(found, NoPlace):
            return self._stay_if_news(undecided, place, found)
        still_lost = (absent(keys.node_alive(place.node)), unchanged(keys.node_life(place.node), life))
        order = _removal_order(undecided, place, undecided.raw or b"")
        terms = await self._terms(
            undecided,
            place,
            resume,
            found,
            refuse=lambda reason, detail: self._stay(undecided, place, reason, detail),
            compares=still_lost,
            ops=(order,),
        )
        request = request_of(undecided.record, leaves=place.node, networks=resume.networks, place=place)
        return await self._placer.hand(undecided, request, found, cluster, terms)

    async def _when_gone(self, undecided: Undecided, place: Place, order: Resume, cluster: Cluster) -> Decision | None:
        """Its node removed it as it was told: place it anywhere, be it there again. Without any node for it, it has no place."""
        seen = undecided.seen
        assert seen is not None  # noqa: S101 - that is how it is known
        resume = msgspec.structs.replace(
            order, intent_done=max(order.intent_done, seen.intent_done), run=seen.ran, networks=seen.networks
        )
        cluster.revoke(reservation(place.uuid))
        cluster.revoke(place.uuid)
        done = Delete(keys.inbox(place.node, place.uuid))
        request = request_of(undecided.record, networks=resume.networks, place=place)
        found = self._placer.plan(cluster, request)
        if isinstance(found, NoPlace):
            return self._homeless(undecided, place, resume, found.detail, done)
        terms = await self._terms(
            undecided,
            place,
            resume,
            found,
            refuse=lambda _, detail: self._homeless(undecided, place, resume, detail, done),
            ops=() if found.node == place.node else (done,),
        )
        return await self._placer.hand(undecided, request, found, cluster, terms)

    def _order(self, undecided: Undecided, place: Place, leaving: Leaving, cluster: Cluster) -> Decision | None:
        """Its node reports: tell it to remove the container, once there is a node for it. What that would take is kept for it."""
        resume = _resume(undecided, place, leaving)
        cluster.revoke(reservation(place.uuid))
        found = self._search(undecided, place, resume, cluster)
        if isinstance(found, NoPlace):
            return self._stay_if_news(undecided, place, found)
        kept = Held(
            node=found.node,
            claim=found.claim,
            addresses=tuple(port_keys(found.node, found.published)),
            revision=PENDING,
            tenant=tenant_in(undecided.wish_raw),
        )
        cluster.hold(reservation(place.uuid), kept)
        told = msgspec.structs.replace(place, leaving=msgspec.structs.replace(leaving, order=resume), failure=None)
        told_raw = codec.encode(told, over=undecided.raw)
        ops = (
            Put(keys.place(place.uuid), told_raw),
            _removal_order(undecided, told, told_raw),
            move_line(undecided.record, resume, self._clock.now()),
        )
        says = f"Container {place.uuid} leaves node {place.node}, which is {resume.kind.value}"
        return Decision(
            uuid=place.uuid, compares=tuple(undecided.unchanged()), ops=ops, news=News(says=says, behind=None)
        )

    def _search(self, undecided: Undecided, place: Place, resume: Resume, cluster: Cluster) -> Placement | NoPlace:
        return self._placer.plan(
            cluster, request_of(undecided.record, leaves=place.node, networks=resume.networks, place=place)
        )

    async def _terms(
        self,
        undecided: Undecided,
        place: Place,
        resume: Resume,
        found: Placement,
        *,
        refuse: Callable[[str, str], Decision],
        ops: tuple[Op, ...],
        compares: tuple[Compare, ...] = (),
    ) -> Terms:
        before, last = await self._past.completed(undecided.record, place, resume)
        moved = move_line(undecided.record, resume, self._clock.now(), found.why)
        return Terms(
            refuse=refuse,
            resume=resume,
            compares=compares,
            ops=(*ops, DeletePrefix(keys.blobs(place.node, place.uuid)), moved, *last),
            before=before,
        )

    def _stay(self, undecided: Undecided, place: Place, reason: str, detail: str) -> Decision:
        """Nothing is changed but what people read."""
        failure = PlaceFailure(reason=reason, detail=detail, at=self._clock.now(), seq=undecided.record.seq)
        told = msgspec.structs.replace(place, failure=failure)
        put = Put(keys.place(place.uuid), codec.encode(told, over=undecided.raw))
        says = f"Container {place.uuid} cannot leave node {place.node}: {detail}"
        return Decision(
            uuid=place.uuid, compares=tuple(undecided.unchanged()), ops=(put,), news=News(says=says, behind=None)
        )

    def _stay_if_news(self, undecided: Undecided, place: Place, found: NoPlace) -> Decision | None:
        if not undecided.is_news(found.detail, self._clock.now()):
            return None
        return self._stay(undecided, place, f"{NO_HOSTS} {found.detail}", found.detail)

    def _homeless(self, undecided: Undecided, place: Place, resume: Resume, detail: str, done: Op) -> Decision:
        """What was there when it was told to leave is not there any more: it waits without a place until a node can have it."""
        now = self._clock.now()
        told = Place(
            uuid=place.uuid,
            node="",
            generation=place.generation,
            at=now,
            failure=PlaceFailure(
                reason=f"{NO_HOSTS} It left node {place.node}, which is {resume.kind.value}; it is placed as soon as a node can have it. {detail}",
                detail=detail,
                at=now,
                seq=undecided.record.seq,
            ),
            resume=resume,
            addresses=kept_claims(place),
            attachments=place.attachments,
            networks_done=place.networks_done,
            networks_refused=place.networks_refused,
            published=place.published,
        )
        given_back = set(place.addresses) - set(told.addresses)
        ops: Sequence[Op] = (
            Put(keys.place(place.uuid), codec.encode(told, over=undecided.raw)),
            *(Delete(address) for address in sorted(given_back)),
            DeletePrefix(keys.blobs(place.node, place.uuid)),
            done,
        )
        says = f"Container {place.uuid} left node {place.node} and has nowhere to go: {detail}"
        return Decision(
            uuid=place.uuid, compares=tuple(undecided.unchanged()), ops=tuple(ops), news=News(says=says, behind=None)
        )


def _removal_order(undecided: Undecided, place: Place, raw: bytes) -> Put:
    order = removal_order(undecided.record, place)
    return tell_node(undecided.record, undecided.wish_raw, place, raw, instead=order)


def reservation(uuid: str) -> str:
    """Under which name the cluster counts what is kept for a container that was told to leave its node."""
    return f"{uuid}/next"


def _resume(undecided: Undecided, place: Place, leaving: Leaving) -> Resume:
    """How it goes on, from what its node said last."""
    earlier, seen = place.resume, undecided.seen
    begun = Resume(place.node, leaving.kind, leaving.request_id, leaving.at, seq=undecided.record.seq)
    if seen is None or (seen.state is SeenState.ABSENT and earlier is not None):
        if earlier is None:
            return begun
        done = max(earlier.intent_done, seen.intent_done if seen is not None else 0)
        return msgspec.structs.replace(begun, intent_done=done, run=earlier.run, networks=earlier.networks)
    return msgspec.structs.replace(begun, intent_done=seen.intent_done, run=_runs(seen), networks=seen.networks)


def _runs(seen: Observation) -> bool:
    """Whether it is to run. Of one that vanished, or cannot be seen, its times tell whether it ran."""
    if seen.state in _TO_RUN:
        return True
    return seen.state in _PERHAPS and seen.started_at is not None and seen.finished_at is None
