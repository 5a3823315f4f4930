# SPDX-License-Identifier: Apache-2.0
"""Recording accepted creates: quota, names and records in one transaction, shared by creates of a project that come together.

A project's usage record is written by every create, so creates of one project must follow each other anyway. While one transaction
is under way the newcomers gather, and the next takes them all. Each gets its own answer: who would pass a limit, or
wants a taken name, is refused without harm to the others.
"""

import asyncio
from collections import deque

import msgspec

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.request_scope import of_nobody
from zun.model.errors import Precondition, Unavailable, ZunError
from zun.model.records import ActionEvent, ActionRecord, ContainerRecord, Limits, NameClaim, Usage, Verb
from zun.model.resources import usage_of
from zun.model.steps import ACCEPT
from zun.services.limits import effective_limits
from zun.services.naming import name_taken
from zun.services.quotas import grown
from zun.store import codec, keys
from zun.store.interface import Compare, Get, Op, Put, Store, TxnResult, absent, unchanged
from zun.store.view import View

MAX_OPS = 120
MAX_BYTES = 1_400_000
_OP_BYTES = 256
_RETRIES = Backoff(first_seconds=0.005, cap_seconds=0.1, attempts=9)


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


class _Waiting:
    """A create with the promise of its answer: the revision at which it is recorded."""

    __slots__ = ("accept", "answer", "cost", "ops")

    def __init__(self, accept: Accept) -> None:
        self.accept = accept
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        writes = accept.writes(accept.started)
        self.ops = len(writes)
        self.cost = sum(_OP_BYTES + len(op.value) for op in writes if isinstance(op, Put))

    def refuse(self, error: ZunError) -> None:
        """Answer with an error, if anybody still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


class _Usage(msgspec.Struct, frozen=True):
    """A usage record as it stands."""

    raw: bytes | None
    revision: int

    def value(self) -> Usage:
        return codec.decode(Usage, self.raw) if self.raw is not None else Usage()


class Accepting:
    """Takes creates in. `run` must be running."""

    def __init__(self, store: Store, view: View, clock: Clock, defaults: Limits) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._defaults = defaults
        self._queues: dict[str, deque[_Waiting]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Give the transactions a home, until cancelled: they go on when a client goes away."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                self._refuse_all()

    async def accept(self, accept: Accept) -> int:
        """Record it; returns the revision at which it is. Raises `QuotaExceeded`, `Conflict` (name), `Precondition`, `Unavailable`."""
        if self._tasks is None:
            raise _not_running()
        waiting = _Waiting(accept)
        project_id = accept.record.project_id
        queue = self._queues.get(project_id)
        if queue is None:
            queue = self._queues[project_id] = deque()
            draining = self._drain(project_id, queue)  # for whoever comes meanwhile, too
            self._tasks.create_task(draining, name=f"accepting for {project_id}", context=of_nobody())
        queue.append(waiting)
        return await waiting.answer

    async def _drain(self, project_id: str, queue: deque[_Waiting]) -> None:
        """Record a project's creates, batch by batch, until none waits."""
        raw, revision = self._view.raw(keys.quota(project_id))
        usage = _Usage(raw, revision)
        while queue:
            batch = _next_batch(queue)
            try:
                usage = await self._record(project_id, batch, usage)
            except ZunError as error:
                for waiting in batch:
                    waiting.refuse(error)
            finally:
                for waiting in batch:
                    waiting.refuse(_not_running())  # only when this task was cancelled is anybody left without answer
        del self._queues[project_id]

    async def _record(self, project_id: str, batch: list[_Waiting], usage: _Usage) -> _Usage:
        """One batch, tried again when others changed the usage meanwhile. Answers every create of it, or raises for all."""
        taken: set[str] = set()
        delays = _RETRIES.delays()
        raw, revision = self._view.raw(keys.quota(project_id))
        if revision > usage.revision:
            usage = _Usage(raw, revision)
        while True:
            admitted, total = self._admit(project_id, batch, usage, taken)
            if not admitted:
                return usage
            written = codec.encode(total, over=usage.raw)
            outcome, names = await self._commit(project_id, admitted, usage, written)
            if outcome.succeeded:
                for waiting in admitted:
                    if not waiting.answer.done():
                        waiting.answer.set_result(outcome.revision)
                return _Usage(written, outcome.revision)
            found, *claims = outcome.reads
            usage = _Usage(found.value, found.mod_revision) if found is not None else _Usage(None, 0)
            lost = {name for name, claim in zip(names, claims, strict=True) if claim is not None}
            taken |= lost
            if lost:
                continue  # they are known now; the rest need not wait
            delay = next(delays, None)
            if delay is None:
                raise Precondition("Others kept changing the project's usage meanwhile; try again.")
            await self._clock.sleep(delay)

    def _admit(
        self, project_id: str, batch: list[_Waiting], usage: _Usage, taken: set[str]
    ) -> tuple[list[_Waiting], Usage]:
        """Who of the batch fits, in order of arrival, and the usage with them. The others are refused."""
        limits = effective_limits(self._view, project_id, self._defaults)
        total = usage.value()
        admitted: list[_Waiting] = []
        names = set(taken)
        for waiting in batch:
            record = waiting.accept.record
            if waiting.answer.done():
                continue
            if names.intersection(record.names):
                waiting.refuse(name_taken(record.spec.name))
                continue
            try:
                total = grown(total, usage_of(record.spec), limits)
            except ZunError as error:
                waiting.refuse(error)
                continue
            names.update(record.names)
            admitted.append(waiting)
        return admitted, total

    async def _commit(
        self, project_id: str, admitted: list[_Waiting], usage: _Usage, written: bytes
    ) -> tuple[TxnResult, list[str]]:
        quota = keys.quota(project_id)
        names = [name for waiting in admitted for name in waiting.accept.record.names]
        now = self._clock.now()
        compares: list[Compare] = [unchanged(quota, usage.revision), *[absent(name) for name in names]]
        ops: list[Op] = [Put(quota, written)]
        for waiting in admitted:
            ops += waiting.accept.writes(now)
        return await self._store.transact(compares, ops, [Get(quota), *[Get(name) for name in names]]), names

    def _refuse_all(self) -> None:
        for queue in self._queues.values():
            for waiting in queue:
                waiting.refuse(_not_running())
            queue.clear()


def _next_batch(queue: deque[_Waiting]) -> list[_Waiting]:
    """As many as a transaction holds; at least one."""
    batch = [queue.popleft()]
    ops, cost = batch[0].ops, batch[0].cost
    while queue and ops + queue[0].ops <= MAX_OPS and cost + queue[0].cost <= MAX_BYTES:
        batch.append(queue.popleft())
        ops += batch[-1].ops
        cost += batch[-1].cost
    return batch


def _not_running() -> Unavailable:
    return Unavailable("The service is starting or stopping; try again.")
