# SPDX-License-Identifier: Apache-2.0
"""A shared store forgets by its leader: what is old, and no more, whoever else compacts and whatever fails meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.world import World
from zun.base.clock import ManualClock
from zun.controllers.compacting.loop import LOOK_SECONDS, CompactingLoop
from zun.model.errors import Unavailable
from zun.store.fencing import Fence
from zun.store.interface import Compacted, Put, Store
from zun.store.memory import MemoryStore
from zun.store.retention import Retention

KEEP = Retention(seconds=600, revisions=1000)


class Failing(MemoryStore):
    """A store that is away when told so."""

    away = False

    async def compact(self, revision: int) -> None:
        if self.away:
            raise Unavailable("away")
        await super().compact(revision)


@pytest.fixture
async def store(clock: ManualClock) -> AsyncIterator[Failing]:
    store = Failing(clock)
    yield store
    await store.close()


@pytest.fixture
async def running(store: Failing, clock: ManualClock, fence: Fence) -> AsyncIterator[None]:
    task = asyncio.ensure_future(CompactingLoop(store=store, clock=clock, retention=KEEP).run(fence))
    yield
    task.cancel()


async def pass_time(clock: ManualClock, seconds: float) -> None:
    for _ in range(int(seconds / LOOK_SECONDS)):
        await settle()
        clock.advance(LOOK_SECONDS)
    await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def write(store: Store) -> int:
    return (await store.transact([], [Put("/k", b"")])).revision


async def is_kept(store: Store, revision: int) -> bool:
    try:
        await store.get("/k", revision=revision)
    except Compacted:
        return False
    return True


@pytest.mark.usefixtures("running")
async def test_history_is_kept_for_its_time_and_forgotten_soon_after(store: Failing, clock: ManualClock) -> None:
    first = await write(store)
    await pass_time(clock, 300)
    second = await write(store)  # at 300 s the first value is history
    await pass_time(clock, 590)
    assert await is_kept(store, first)
    third = await write(store)  # at 890 s the second is
    await pass_time(clock, 80)
    assert not await is_kept(store, first)
    assert await is_kept(store, second)
    await pass_time(clock, 600)
    assert not await is_kept(store, second)
    assert await is_kept(store, third)


async def test_a_new_leader_bounds_the_number_of_revisions_at_once(
    store: Failing, clock: ManualClock, fence: Fence
) -> None:
    revisions = [await write(store) for _ in range(1500)]
    task = asyncio.ensure_future(CompactingLoop(store=store, clock=clock, retention=KEEP).run(fence))
    await settle()
    assert not await is_kept(store, revisions[400])
    assert await is_kept(store, revisions[-1000])
    task.cancel()


@pytest.mark.usefixtures("running")
async def test_somebody_else_who_compacts_is_no_trouble(store: Failing, clock: ManualClock) -> None:
    for _ in range(10):
        old = await write(store)
        await pass_time(clock, 300)
        await store.compact(await write(store))
    assert not await is_kept(store, old)
    last = await write(store)
    await write(store)
    await pass_time(clock, 700)
    assert not await is_kept(store, last)


@pytest.mark.usefixtures("running")
async def test_what_failed_is_done_later(store: Failing, clock: ManualClock, world: World) -> None:
    old = await write(store)
    await write(store)
    store.away = True
    await pass_time(clock, 1000)
    assert await is_kept(store, old)
    await write(store)
    store.away = False
    await pass_time(clock, 700)
    assert not await is_kept(store, old)
