# SPDX-License-Identifier: Apache-2.0
"""Clearing a container away: all its records in one transaction, in which its project gets the quota back exactly once."""

from collections.abc import Iterator, Sequence

import msgspec

from zun.base.clock import Clock
from zun.controllers.reaping.history import complete
from zun.controllers.reaping.judging import Verdict, asked_by
from zun.model.inbox import removal_order
from zun.model.records import ActionRecord, ActionResult, ContainerRecord, Place, Usage
from zun.model.resources import held_by, subtract
from zun.store import codec, keys
from zun.store.inboxes import tell_node
from zun.store.interface import Compare, Delete, DeletePrefix, Op, Put, Store, unchanged
from zun.store.results import results_of
from zun.store.view import ContainerEntry, View

ACTIONS_IN_LAST = 50
"""So many actions are completed together with the removal; of a longer history the rest goes before."""

_ACTIONS_AT_ONCE = 100


class Removal(msgspec.Struct, frozen=True):
    """What clears one container away. `before` are transactions that go first; `ops` of the last do not hold the quota,
    which removals of the same project share. `order` is the inbox entry that stays, for a node that is away."""

    uuid: str
    project_id: str
    usage: Usage
    compares: tuple[Compare, ...]
    ops: tuple[Op, ...]
    request_id: str = ""
    order: str = ""
    before: tuple[tuple[Op, ...], ...] = ()


class Remover:
    """Works out removals."""

    def __init__(self, store: Store, view: View, clock: Clock, retention_seconds: float) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._retention = retention_seconds

    async def removal(self, entry: ContainerEntry, verdict: Verdict) -> Removal:
        """The removal of a container as it is now. Raises `Unavailable` or `Timeout`: its history is read from the store."""
        record, place = entry.record(), entry.place()
        compares = (
            unchanged(keys.container(record.uuid), entry.wish_revision),
            unchanged(keys.place(record.uuid), entry.place_revision),
        )
        node = place.node if place is not None else ""
        history = await self._history(record.uuid, place, verdict)
        last, earlier = history[:ACTIONS_IN_LAST], history[ACTIONS_IN_LAST:]
        ops: list[Op] = [
            Delete(keys.container(record.uuid)),
            Delete(keys.place(record.uuid)),
            DeletePrefix(keys.stages(record.uuid)),
            *(Delete(name) for name in record.names),
            *last,
        ]
        if place is not None:
            ops += [Delete(address) for address in place.addresses]
        if place is not None and node:
            ops.append(DeletePrefix(keys.blobs(node, record.uuid)))
            ops.append(_order(entry, record, place, verdict))
        return Removal(
            uuid=record.uuid,
            project_id=record.project_id,
            usage=held_by(record),
            compares=compares,
            ops=tuple(ops),
            request_id=asked_by(record),
            order=keys.inbox(node, record.uuid) if verdict is Verdict.REMOVE_AND_LEAVE_ORDER else "",
            before=tuple(_chunks(earlier)),
        )

    def give_back(self, project_id: str, removals: Sequence[Removal]) -> tuple[Compare, list[Op]]:
        """The project's usage without these containers; the condition sees to it that nobody changed it meanwhile."""
        key = keys.quota(project_id)
        usage, revision = self._view.usage(project_id)
        if not revision:
            return unchanged(key, 0), []
        for removal in removals:
            usage = subtract(usage, removal.usage)
        raw, _ = self._view.raw(key)
        return unchanged(key, revision), [Put(key, codec.encode(usage, over=raw))]

    async def _history(self, uuid: str, place: Place | None, verdict: Verdict) -> list[Op]:
        """The completed actions; those that were completed by an earlier try are left out."""
        now = self._clock.now()
        node = place.node if place is not None else ""
        results: dict[str, ActionResult] = {}
        if node:
            results = await results_of(self._store, node, uuid)
        note = ""
        if verdict is Verdict.REMOVE_AND_LEAVE_ORDER:
            note = f"Node {node} does not report; what it has of the container is removed when it returns."
        ops: list[Op] = []
        for item in (await self._store.range(keys.actions(uuid))).items:
            action = codec.decode(ActionRecord, item.value)
            if action.expires_at is not None:
                continue
            done = complete(
                action,
                results.get(action.request_id),
                now=now,
                retention_seconds=self._retention,
                note=note,
                place=place,
            )
            ops.append(Put(item.key, codec.encode(done, over=item.value)))
        return ops


def _order(entry: ContainerEntry, record: ContainerRecord, place: Place, verdict: Verdict) -> Op:
    """The node's inbox entry goes, or tells a node that is away to remove the container when it returns."""
    if verdict is not Verdict.REMOVE_AND_LEAVE_ORDER:
        return Delete(keys.inbox(place.node, record.uuid))
    return tell_node(record, entry.wish_raw, place, entry.place_raw, instead=removal_order(record, place))


def _chunks(ops: Sequence[Op]) -> Iterator[tuple[Op, ...]]:
    for start in range(0, len(ops), _ACTIONS_AT_ONCE):
        yield tuple(ops[start : start + _ACTIONS_AT_ONCE])
