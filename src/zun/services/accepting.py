# SPDX-License-Identifier: Apache-2.0
"""Recording accepted creates: quota, names and records in transactions that creates share which come together.

A project's usage record is written by every create, so creates of one project must follow each other anyway; and a transaction costs
everybody who watches about the same, however many creates are in it. So while transactions are under way the newcomers gather,
whoever's they are, and the next takes them all. Each gets its own answer.
"""

import asyncio
from collections import deque

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.request_scope import of_nobody
from zun.model.errors import Precondition, Unavailable, ZunError
from zun.model.records import Limits
from zun.services.admitting import Accept, Admission, KnownUsage, Share, Waiting
from zun.store import keys
from zun.store.interface import Store
from zun.store.view import View

UNDER_WAY = 2
"""So many transactions at once: one alone is not held up by another project's, and many are worth gathering for."""

MAX_OPS = 120
MAX_BYTES = 1_400_000
_RETRIES = Backoff(first_seconds=0.005, cap_seconds=0.1, attempts=9)


class Accepting:
    """Takes creates in. `run` must be running."""

    def __init__(self, store: Store, view: View, clock: Clock, defaults: Limits) -> None:
        self._view = view
        self._clock = clock
        self._admission = Admission(store, view, clock, defaults)
        self._waiting: deque[Waiting] = deque()
        self._busy: set[str] = set()
        self._under_way = 0
        self._usages: dict[str, KnownUsage] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Give the transactions a home, until cancelled: they go on when a client goes away."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                for waiting in self._waiting:
                    waiting.refuse(_not_running())
                self._waiting.clear()

    async def accept(self, accept: Accept) -> int:
        """Record it; returns the revision at which it is. Raises `QuotaExceeded`, `Conflict` (name), `Precondition`, `Unavailable`."""
        if self._tasks is None:
            raise _not_running()
        waiting = Waiting(accept)
        self._waiting.append(waiting)
        self._begin()
        return await waiting.answer

    def _begin(self) -> None:
        """Begin a transaction if one may be, with all who wait and whose project nobody else writes for just now."""
        if self._tasks is None or self._under_way >= UNDER_WAY:
            return
        batch = self._next_batch()
        if batch:
            self._under_way += 1
            self._busy |= batch.keys()
            # For whoever is in it, not for the request that happened to begin it.
            self._tasks.create_task(self._carry_out(batch), name="accepting", context=of_nobody())

    def _next_batch(self) -> dict[str, list[Waiting]]:
        """As many as a transaction holds, by project; at least one if anybody may be taken."""
        batch: dict[str, list[Waiting]] = {}
        ops = cost = 0
        left: deque[Waiting] = deque()
        while self._waiting:
            waiting = self._waiting.popleft()
            more = waiting.ops + (waiting.project_id not in batch)
            if batch and (ops + more > MAX_OPS or cost + waiting.cost > MAX_BYTES):
                self._waiting.appendleft(waiting)
                break
            if waiting.project_id in self._busy:
                left.append(waiting)
                continue
            batch.setdefault(waiting.project_id, []).append(waiting)
            ops += more
            cost += waiting.cost
        self._waiting.extendleft(reversed(left))
        return batch

    async def _carry_out(self, batch: dict[str, list[Waiting]]) -> None:
        try:
            await self._record([Share(project, waiting, self._usage(project)) for project, waiting in batch.items()])
        finally:
            self._under_way -= 1
            self._busy -= batch.keys()
            for group in batch.values():
                for waiting in group:
                    waiting.refuse(_not_running())  # only when this task was cancelled is anybody left without answer
            self._begin()

    async def _record(self, shares: list[Share]) -> None:
        """All together; where somebody interferes each project goes on by itself, so that none has to wait for another's sake."""
        if len(shares) == 1:
            await self._insist(shares[0])
            return
        try:
            succeeded = (await self._admission.attempt(shares)).succeeded
        except ZunError as error:
            for share in shares:
                _refuse(share, error)
            return
        if succeeded:
            for share in shares:
                self._usages[share.project_id] = share.usage
        else:
            await asyncio.gather(*map(self._insist, shares))

    async def _insist(self, share: Share) -> None:
        """One project's, tried again when others changed its usage meanwhile."""
        delays = _RETRIES.delays()
        try:
            while not (attempt := await self._admission.attempt([share])).succeeded:
                if attempt.names_lost:
                    continue  # they are known now; the rest need not wait
                delay = next(delays, None)
                if delay is None:
                    raise Precondition("Others kept changing the project's usage meanwhile; try again.")
                await self._clock.sleep(delay)
        except ZunError as error:
            _refuse(share, error)
        self._usages[share.project_id] = share.usage

    def _usage(self, project_id: str) -> KnownUsage:
        """The newest that is known: the view may not have what was written a moment ago."""
        seen = KnownUsage(*self._view.raw(keys.quota(project_id)))
        written = self._usages.pop(project_id, seen)
        return written if written.revision > seen.revision else seen


def _refuse(share: Share, error: ZunError) -> None:
    for waiting in share.waiting:
        waiting.refuse(error)


def _not_running() -> Unavailable:
    return Unavailable("The service is starting or stopping; try again.")
