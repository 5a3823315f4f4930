# SPDX-License-Identifier: Apache-2.0
"""One transaction of accepted creates: who of them is let in, what is written, and what a failure teaches.

Creates are held against their project's usage record, which the transaction compares and changes. Who would pass a limit, or wants a
taken name, is refused without harm to the others.
"""

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from zun.base.clock import Clock
from zun.model.errors import ZunError
from zun.model.records import ActionEvent, ActionRecord, ContainerRecord, Limits, NameClaim, Usage, Verb
from zun.model.resources import held_by
from zun.model.steps import ACCEPT
from zun.services.limits import effective_limits
from zun.services.naming import name_taken
from zun.services.quotas import grown
from zun.store import codec, keys
from zun.store.interface import Compare, Get, KeyValue, Op, Put, Store, absent, unchanged
from zun.store.view import View

_OP_BYTES = 256


class Accept(msgspec.Struct):
    """A create that may be recorded: the wish, what is staged for its node (encrypted), and when its request began."""

    record: ContainerRecord
    staged: dict[int, bytes]
    request_id: str
    started: float

    def writes(self, now: float) -> list[Op]:
        """Everything but the usage."""
        record = self.record
        action = ActionRecord(
            action=Verb.CREATE.value,
            request_id=self.request_id,
            container_uuid=record.uuid,
            project_id=record.project_id,
            user_id=record.user_id,
            start_time=self.started,
            n=1,
            events=[ActionEvent(ACCEPT, self.started, now, "Success")],
        )
        return [
            Put(keys.container(record.uuid), codec.encode(record)),
            Put(keys.action(record.uuid, self.request_id), codec.encode(action)),
            *[Put(name, codec.encode(NameClaim(record.uuid))) for name in record.names],
            *[Put(keys.stage(record.uuid, number), sealed) for number, sealed in self.staged.items()],
        ]


class Waiting:
    """A create with the promise of its answer: the revision at which it is recorded."""

    __slots__ = ("accept", "answer", "cost", "ops")

    def __init__(self, accept: Accept) -> None:
        self.accept = accept
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        writes = accept.writes(accept.started)
        self.ops = len(writes)
        self.cost = sum(_OP_BYTES + len(op.value) for op in writes if isinstance(op, Put))

    @property
    def project_id(self) -> str:
        """Whose it is."""
        return self.accept.record.project_id

    def refuse(self, error: ZunError) -> None:
        """Answer with an error, if anybody still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def accepted(self, revision: int) -> None:
        """Answer that it is recorded."""
        if not self.answer.done():
            self.answer.set_result(revision)


class KnownUsage(msgspec.Struct, frozen=True):
    """A usage record as it stands; `revision` 0 and no bytes when there is none."""

    raw: bytes | None
    revision: int

    def value(self) -> Usage:
        """Decoded."""
        return codec.decode(Usage, self.raw) if self.raw is not None else Usage()


class Share:
    """A project's creates in a transaction, and what is known of the project."""

    def __init__(self, project_id: str, waiting: Sequence[Waiting], usage: KnownUsage) -> None:
        self.project_id = project_id
        self.waiting = waiting
        self.usage = usage
        self.taken: set[str] = set()
        self.admitted: list[Waiting] = []
        self.written = b""

    @property
    def key(self) -> str:
        """Of its usage record."""
        return keys.quota(self.project_id)

    @property
    def names(self) -> list[str]:
        """What the admitted claim."""
        return [name for waiting in self.admitted for name in waiting.accept.record.names]

    def admit(self, limits: Limits, names: set[str]) -> None:
        """Find out who fits, in order of arrival, and refuse the others. `names` are those claimed in this transaction so far."""
        total = self.usage.value()
        self.admitted = []
        for waiting in self.waiting:
            record = waiting.accept.record
            if waiting.answer.done():
                continue
            if not names.isdisjoint(record.names) or not self.taken.isdisjoint(record.names):
                waiting.refuse(name_taken(record.spec.name, record.kind.value or "container"))
                continue
            try:
                total = grown(total, held_by(record), limits)
            except ZunError as error:
                waiting.refuse(error)
                continue
            names.update(record.names)
            self.admitted.append(waiting)
        self.written = codec.encode(total, over=self.usage.raw)

    def learn(self, usage: KeyValue | None, claims: Iterable[KeyValue | None]) -> bool:
        """Take in what a failed transaction read; returns whether names turned out to be taken."""
        self.usage = KnownUsage(usage.value, usage.mod_revision) if usage is not None else KnownUsage(None, 0)
        lost = {name for name, claim in zip(self.names, claims, strict=True) if claim is not None}
        self.taken |= lost
        return bool(lost)


class Attempt(msgspec.Struct, frozen=True):
    """How a transaction went. `names_lost`: it failed at names that are known as taken now, so the next try need not wait."""

    succeeded: bool
    names_lost: bool = False


class Admission:
    """Makes the transactions."""

    def __init__(self, store: Store, view: View, clock: Clock, defaults: Limits) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._defaults = defaults

    async def attempt(self, shares: Sequence[Share]) -> Attempt:
        """Record whoever fits of all the shares, in one transaction, and answer them. Raises what the store does; nobody is answered then.

        When somebody changed a usage or took a name meanwhile nothing is recorded, and each share knows how things stand.
        """
        names: set[str] = set()
        for share in shares:
            share.admit(effective_limits(self._view, share.project_id, self._defaults), names)
        shares = [share for share in shares if share.admitted]
        if not shares:
            return Attempt(succeeded=True)
        now = self._clock.now()
        compares: list[Compare] = []
        ops: list[Op] = []
        reads: list[Op] = []
        for share in shares:
            compares += [unchanged(share.key, share.usage.revision), *map(absent, share.names)]
            ops.append(Put(share.key, share.written))
            reads += [Get(share.key), *map(Get, share.names)]
            for waiting in share.admitted:
                ops += waiting.accept.writes(now)
        outcome = await self._store.transact(compares, ops, reads)
        if not outcome.succeeded:
            found = iter(outcome.reads)
            lost = [share.learn(next(found), [next(found) for _ in share.names]) for share in shares]
            return Attempt(succeeded=False, names_lost=any(lost))
        for share in shares:
            share.usage = KnownUsage(share.written, outcome.revision)
            for waiting in share.admitted:
                waiting.accepted(outcome.revision)
        return Attempt(succeeded=True)
