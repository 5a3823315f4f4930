# SPDX-License-Identifier: Apache-2.0
"""Settling resizes: what the leader refused, or the node failed to do, is put back in spec and quota.

A resize stays in the wish until it is settled, so nothing is forgotten when a process ends. A refused one is undone at once. One that
failed on its node is undone by a resize back: the leader has granted it, and must learn that it is free again.
Settling twice does no harm; every API server does it.
"""

import logging

import msgspec

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.ids import new_request_id
from zun.base.request_scope import in_request
from zun.model.errors import NotFound, ZunError
from zun.model.records import ActionRecord, ActionResult, ContainerRecord, Intent, Limits, Usage, Verb
from zun.model.resources import held_by
from zun.services.intents import Change, Intents
from zun.services.quotas import moved
from zun.store import codec, keys
from zun.store.interface import Put, Store, unchanged
from zun.store.results import result_of
from zun.store.view import ContainerEntry, View

_LOG = logging.getLogger(__name__)
_MARK = f'"{Verb.RESIZE.value}"'.encode()
_RESULT_SECONDS = 2.0
_RETRY = Backoff(first_seconds=0.5, cap_seconds=10.0)


def unsettled(record: ContainerRecord) -> list[Intent]:
    """The resizes whose outcome was not seen to yet."""
    return [intent for intent in record.intents if intent.verb is Verb.RESIZE]


def change_resources(change: Change, *, cpu: float | None, memory: int | None) -> None:
    """Give the wish other resources (None: as they are)."""
    spec = change.record.spec
    change.record.spec = msgspec.structs.replace(
        spec, cpu=spec.cpu if cpu is None else cpu, memory=spec.memory if memory is None else memory
    )


def account(view: View, change: Change, before: Usage, limits: Limits | None) -> None:
    """Count in the project's usage what the changed wish holds, instead of `before`.

    Growth is held against `limits` (None: it is not). Raises `QuotaExceeded`.
    """
    after = held_by(change.record)
    if before == after:
        return
    key = keys.quota(change.record.project_id)
    raw, revision = view.raw(key)
    usage = codec.decode(Usage, raw) if raw is not None else Usage()
    change.compares.append(unchanged(key, revision))
    change.ops.append(Put(key, codec.encode(moved(usage, before, after, limits), over=raw)))


class Settling:
    """Sees to the outcome of resizes."""

    def __init__(self, store: Store, view: View, clock: Clock, intents: Intents) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._intents = intents

    async def run(self) -> None:
        """Settle whatever can be, until cancelled."""
        await self._view.ready()
        subscription = self._view.subscribe()
        due = {entry.uuid for entry in self._view.containers() if _waits(entry)}
        while True:
            await self._settle_all(due)
            changes = await subscription.batch()
            if any(change.kind == "reset" for change in changes):
                due = {entry.uuid for entry in self._view.containers() if _waits(entry)}
            else:
                found = (self._view.container(change.id) for change in changes if change.kind == "container")
                due = {entry.uuid for entry in found if entry is not None and _waits(entry)}

    async def settle(self, uuid: str) -> None:
        """Settle the resizes of one container whose outcome is known. Raises `NotFound`, `Precondition`, `Unavailable`."""

        async def decide(change: Change) -> None:
            for intent in unsettled(change.record):
                refusal = change.place.resize_refused.get(intent.n) if change.place is not None else None
                if refusal is not None:
                    await self._undo_refused(change, intent, refusal)
                elif intent not in change.pending:
                    await self._look_at_done(change, intent)

        await self._intents.change(uuid, decide)

    async def _settle_all(self, due: set[str]) -> None:
        attempt = 0
        while due:
            for uuid in sorted(due):
                with in_request(self._asked_by(uuid)):
                    if await self._is_settled(uuid):
                        due.discard(uuid)
            if due:
                await self._clock.sleep(_RETRY.delay(attempt))
                attempt += 1

    async def _is_settled(self, uuid: str) -> bool:
        try:
            await self.settle(uuid)
        except NotFound:
            return True
        except ZunError as error:
            _LOG.warning("The resize of container %s cannot be settled yet: %s", uuid, error.message)
            return False
        return True

    def _asked_by(self, uuid: str) -> str:
        entry = self._view.container(uuid)
        waiting = unsettled(entry.record()) if entry is not None else []
        return waiting[0].request_id if waiting else ""

    async def _undo_refused(self, change: Change, intent: Intent, reason: str) -> None:
        held = held_by(change.record)
        change.record.intents.remove(intent)
        change_resources(change, cpu=intent.cpu_before, memory=intent.memory_before)
        account(self._view, change, held, None)
        key = keys.action(change.record.uuid, intent.request_id)
        found = await self._store.get(key)
        if found is not None:
            line = codec.decode(ActionRecord, found.value)
            line = msgspec.structs.replace(line, finish_time=change.now, message=reason)
            change.compares.append(unchanged(key, found.mod_revision))
            change.ops.append(Put(key, codec.encode(line, over=found.value)))

    async def _look_at_done(self, change: Change, intent: Intent) -> None:
        result = await self._result(change, intent)
        held = held_by(change.record)
        change.record.intents.remove(intent)
        if result is None or result.message is None:
            account(self._view, change, held, None)
            return
        if intent.cpu_before is None and intent.memory_before is None:
            _LOG.error("Container %s could not be resized back: %s", change.record.uuid, result.message)
            return
        change_resources(change, cpu=intent.cpu_before, memory=intent.memory_before)
        account(self._view, change, held, None)
        change.record.seq += 1
        back = Intent(
            change.record.seq,
            Verb.RESIZE,
            new_request_id(),
            change.now,
            cpu=intent.cpu_before,
            memory=intent.memory_before,
        )
        change.record.intents.append(back)

    async def _result(self, change: Change, intent: Intent) -> ActionResult | None:
        """What the node did. Its word on the intent may come a moment before its word on how it went."""
        asked = change.node, change.record.uuid, intent.request_id
        found = await result_of(self._store, *asked)
        if found is None:
            await self._clock.sleep(_RESULT_SECONDS)
            found = await result_of(self._store, *asked)
        return found


def _waits(entry: ContainerEntry) -> bool:
    """Whether a resize is in the wish. Most have none, so the bytes are asked before anything is decoded."""
    return _MARK in entry.wish_raw and bool(unsettled(entry.record()))
