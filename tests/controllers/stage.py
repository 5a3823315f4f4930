# SPDX-License-Identifier: Apache-2.0
"""What tests of the control loops do again and again: wishes with intents, waiting, time, and stores that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from support.records import T0, record
from support.world import World
from zun.base.clock import ManualClock
from zun.controllers.reaping.loop import ReapingLoop
from zun.model.records import ContainerRecord, Intent, Verb
from zun.store.fencing import Fence
from zun.store.interface import Compare, Delete, KeyValue, Op, Put, RangeResult, Store, TxnResult

RETENTION = 1000.0


def a_loop(world: World, store: Store | None = None, **options: float) -> ReapingLoop:
    """The reaping loop over a world, or over another store with the same view."""
    given = {"retention_seconds": RETENTION, "purge_interval_seconds": 1e9} | options
    return ReapingLoop(store=store or world.store, view=world.view, clock=world.clock, **given)


@asynccontextmanager
async def reaping(world: World, fence: Fence, **options: float) -> AsyncIterator[None]:
    """The reaping loop at work."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(a_loop(world, **options).run(fence))
        try:
            yield
        finally:
            running.cancel()


def wish(*verbs: Verb, **fields: object) -> ContainerRecord:
    """A container as services record it."""
    intents = [Intent(n, verb, f"req-{n}", T0) for n, verb in enumerate(verbs or (Verb.CREATE, Verb.START), start=1)]
    return record(**({"seq": len(intents), "intents": intents} | fields))


@asynccontextmanager
async def time_goes_by(clock: ManualClock) -> AsyncIterator[None]:
    """A second passes at every turn of the event loop."""

    async def tick() -> None:
        while True:
            clock.advance(1)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(tick())
        try:
            yield
        finally:
            ticking.cancel()


async def until(world: World, holds: Callable[[], bool]) -> None:
    """Wait, change by change, until something holds."""
    changes = world.view.subscribe()
    async with asyncio.timeout(60):
        while not holds():
            await changes.batch()


class Meddling:
    """A store in which somebody else is faster: once, just before `key` is written, `op` happens."""

    def __init__(self, store: Store, key: str, op: Op) -> None:
        self._store = store
        self._key = key
        self._op: Op | None = op

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """Let the other one be faster."""
        op = self._op
        if op is not None and any(isinstance(one, Put | Delete) and one.key == self._key for one in success):
            self._op = None
            await self._store.transact([], [op])
        return await self._store.transact(compares, success, failure)


class Crash(Exception):
    """The process ends here."""


class Dying:
    """A store as a process sees it that dies with its `last` transaction: before it was written, or just after."""

    def __init__(self, store: Store, last: int, *, written: bool) -> None:
        self._store = store
        self._left = last
        self._written = written

    def known_revision(self) -> int | None:
        """As the store says."""
        return self._store.known_revision()

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """As the store says."""
        return await self._store.get(key, revision=revision)

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        """As the store says."""
        return await self._store.range(
            prefix, start_after=start_after, limit=limit, revision=revision, keys_only=keys_only
        )

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """Die at the last one."""
        self._left -= 1
        if self._left < 0 or (self._left == 0 and not self._written):
            raise Crash
        result = await self._store.transact(compares, success, failure)
        if self._left == 0:
            raise Crash
        return result
