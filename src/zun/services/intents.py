# SPDX-License-Identifier: Apache-2.0
"""Changing a wish: one more numbered intent, checked against the state table, in one transaction with history and inbox."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.request_scope import current
from zun.model.caller import RequestContext
from zun.model.errors import Conflict, NotFound, wrong_state
from zun.model.records import (
    MAX_PENDING_INTENTS,
    ActionRecord,
    ContainerRecord,
    Intent,
    Observation,
    Place,
    Verb,
)
from zun.model.states import Action, allows
from zun.model.status import Derived, pending_intents
from zun.model.steps import ACCEPT
from zun.services.optimistic import OptimisticWriter, Write
from zun.services.options import ContainerOptions
from zun.store import codec, keys
from zun.store.inboxes import tell_node
from zun.store.interface import Compare, Delete, Op, Put, Store, unchanged
from zun.store.view import View
from zun.store.view_entries import ChildEntry
from zun.telemetry.tracing import NO_TRACER, Tracer

T = TypeVar("T")

ATTEMPTS = Backoff(first_seconds=0.005, cap_seconds=0.2, attempts=15)
"""A change of resources competes with every create of its project for the usage record, so it tries a little longer than others."""

_TRIM_EVERY = 16


class Change(msgspec.Struct):
    """A wish being changed. Change `record`, and add what is to be compared and written beside it.

    `place` and `seen` are as they stood when `record` was read, which is what the transaction compares: the view goes on meanwhile.
    `pending` are the intents that nobody carried out yet.
    """

    record: ContainerRecord
    raw: bytes
    place_raw: bytes
    unchanged: tuple[Compare, Compare]
    place: Place | None
    seen: Observation | None
    derived: Derived
    pending: list[Intent]
    now: float
    compares: list[Compare] = []
    ops: list[Op] = []

    @property
    def node(self) -> str:
        """The node it is placed on; "" when it is on none."""
        return self.place.node if self.place is not None else ""

    def require(self, action: Action) -> None:
        """Raises `Conflict` unless the state table allows the action in the present state."""
        if not allows(action, self.derived.status):
            raise wrong_state(action.value, self.record.uuid, self.derived.status.value)

    def intend(self, ctx: RequestContext, intent: Intent) -> None:
        """Add an intent (its number is given here) and the line of history for it.

        Raises `Conflict` when too many wait already; a delete is always let through, or nothing could end the waiting.
        """
        if len(self.pending) >= MAX_PENDING_INTENTS and intent.verb is not Verb.DELETE:
            raise Conflict(
                f"{len(self.pending)} actions wait for container {self.record.uuid} already; wait until some are done."
            )
        record = self.record
        record.seq += 1
        intent = msgspec.structs.replace(intent, n=record.seq, traceparent=current().traceparent)
        record.intents.append(intent)
        action = ActionRecord(
            action=intent.verb.value,
            request_id=ctx.request_id,
            container_uuid=record.uuid,
            project_id=record.project_id,
            user_id=ctx.caller.user_id,
            start_time=self.now,
            n=intent.n,
        )
        self.ops.append(Put(keys.action(record.uuid, ctx.request_id), codec.encode(action)))


class Intents:
    """Writes changed wishes."""

    def __init__(
        self,
        store: Store,
        view: View,
        clock: Clock,
        options: ContainerOptions,
        *,
        backoff: Backoff = ATTEMPTS,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._options = options
        self._tracer = tracer
        self._writer = OptimisticWriter(store, view, clock, backoff)

    async def change(self, uuid: str, decide: Callable[[Change], Awaitable[T]]) -> T:
        """Let `decide` change the wish of a container as it is now; again when somebody was faster.

        When it returns, the view shows it. What `decide` raises passes through, nothing is written then. Raises `NotFound` when
        the container is gone, `Precondition` when others were always faster.
        """

        async def attempt() -> Write[T]:
            change = self._read(uuid)
            before = codec.encode(change.record)
            result = await decide(change)
            if not change.ops and codec.encode(change.record) == before:
                return Write(result=result, compares=[], ops=[])
            await self._trim_history(change)
            return Write(result=result, compares=[*change.unchanged, *change.compares], ops=self._ops(change))

        began = self._clock.now()
        accepted = await self._writer.write(f"container {uuid}", attempt)
        trace_accept(self._tracer, uuid, began, self._clock.now())
        return accepted

    def _read(self, uuid: str) -> Change:
        entry = self._view.container(uuid)
        if entry is None:
            child = self._view.child(uuid)
            raise not_found(uuid) if child is None else part_of_capsule(child)
        record, place, seen = entry.record(), entry.place(), entry.seen()
        derived = self._view.derive(entry)
        pending = pending_intents(record, place, seen)
        # A resize stays until it is settled: only then is it known whether its resources are really held.
        record.intents = [intent for intent in record.intents if intent in pending or intent.verb is Verb.RESIZE]
        read = (
            unchanged(keys.container(uuid), entry.wish_revision),
            unchanged(keys.place(uuid), entry.place_revision),
        )
        now = self._clock.now()
        raws = entry.wish_raw, entry.place_raw
        return Change(record, *raws, read, place, seen, derived, pending, now, compares=[], ops=[])

    @staticmethod
    def _ops(change: Change) -> list[Op]:
        record, place = change.record, change.place
        record.updated_at = change.now
        wish = codec.encode(record, over=change.raw)
        ops: list[Op] = [Put(keys.container(record.uuid), wish)]
        if place is not None and place.node:
            ops.append(tell_node(record, wish, place, change.place_raw))
        return ops + change.ops

    async def _trim_history(self, change: Change) -> None:
        """Keep a living container's history bounded: now and then the oldest lines go, and never those of pending intents."""
        if change.record.seq < self._options.history_actions or change.record.seq % _TRIM_EVERY:
            return
        found = await self._store.range(keys.actions(change.record.uuid))
        lines = [(codec.decode(ActionRecord, item.value).n, item.key) for item in found.items]
        oldest = sorted(lines)[: max(0, len(lines) - self._options.history_actions)]
        waiting = min((intent.n for intent in change.pending), default=change.record.seq + 1)
        change.ops += [Delete(key) for n, key in oldest[: 2 * _TRIM_EVERY] if n < waiting]


def trace_accept(tracer: Tracer, uuid: str, began: float, ended: float) -> None:
    """Tell of the part of a request in which its wish was checked and written."""
    tracer.record(ACCEPT, current().traceparent, began=began, ended=ended, attributes={"zun.container": uuid})


def part_of_capsule(child: ChildEntry) -> Conflict:
    """The refusal of what can only be done to a capsule as a whole."""
    return Conflict(
        f"Container {child.uuid} is part of capsule {child.capsule_uuid} and lives as long as that does; delete or replace the capsule."
    )


def not_found(ident: str) -> NotFound:
    """The refusal of a container that is not there, or not for the caller."""
    return NotFound(f"Container {ident} could not be found.", code="container-not-found")
