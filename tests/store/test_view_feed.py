# SPDX-License-Identifier: Apache-2.0
"""The feed of changes loses nothing, invents nothing, and says so when it had to skip."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.records import record
from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.model.errors import Unavailable
from zun.model.records import ContainerRecord, Place, Usage
from zun.model.states import Status
from zun.store import codec, keys
from zun.store.freshness import AWAY_SECONDS
from zun.store.interface import Delete, Put, WatchBatch
from zun.store.memory import MemoryStore
from zun.store.view import Change, View
from zun.store.view_feed import Feed, Subscription


class FarStore(MemoryStore):
    """A store that behaves like one across a network: its revision must be asked for, and it can be away."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.away = False
        self.asked = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self._cut = asyncio.Event()

    def known_revision(self) -> int | None:
        return None

    async def revision(self) -> int:
        self.asked += 1
        await self.hold.wait()
        if self.away:
            raise Unavailable("away")
        return await super().revision()

    @asynccontextmanager
    async def watch(self, prefix: str, *, from_revision: int) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        async with super().watch(prefix, from_revision=from_revision) as batches:
            yield self._while_connected(aiter(batches))

    def disconnect(self) -> None:
        self.away = True
        self._cut.set()

    def reconnect(self) -> None:
        self.away = False
        self._cut.clear()

    async def _while_connected(self, batches: AsyncIterator[WatchBatch]) -> AsyncIterator[WatchBatch]:
        while True:
            nxt = asyncio.ensure_future(anext(batches))
            cut = asyncio.ensure_future(self._cut.wait())
            try:
                await asyncio.wait([nxt, cut], return_when=asyncio.FIRST_COMPLETED)
                if cut.done():
                    raise Unavailable("cut off")
                yield nxt.result()
            finally:
                nxt.cancel()
                cut.cancel()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def far(clock: ManualClock) -> AsyncIterator[World]:
    store = FarStore(clock)
    async with world_on(store, clock) as world:
        yield world
    await store.close()


def the_store(world: World) -> FarStore:
    assert isinstance(world.store, FarStore)
    return world.store


async def until(clock: ManualClock, condition: "asyncio.Future[bool] | object") -> None:
    """Let time pass until `condition()` holds."""
    for _ in range(400):
        if condition():  # type: ignore[operator]
            return
        clock.advance(0.5)
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


def seen(changes: list[Change]) -> list[tuple[str, str, bool]]:
    return [(change.kind, change.id, change.deleted) for change in changes]


async def test_a_subscriber_hears_each_thing_once_per_transaction(far: World) -> None:
    subscription = far.view.subscribe()
    wished = record()
    revision = await far.write(
        Put(keys.container(wished.uuid), codec.encode(wished)),
        Put(keys.place(wished.uuid), codec.encode(Place(wished.uuid, "n1", 1, 1.0))),
        Put(keys.quota("p1"), codec.encode(Usage(containers=1))),
    )
    assert await subscription.batch() == [
        Change("container", wished.uuid, "p1", revision),
        Change("quota", "p1", "p1", revision),
    ]
    await far.write(Delete(keys.place(wished.uuid)), Delete(keys.container(wished.uuid)))
    assert seen(await subscription.batch()) == [("container", wished.uuid, True)]


async def test_a_subscriber_goes_on_where_it_stopped(far: World) -> None:
    first = await far.put(keys.quota("p1"), Usage(containers=1))
    await far.put(keys.quota("p2"), Usage(containers=1))
    await far.put(keys.quota("p3"), Usage(containers=1))
    assert seen(await far.view.subscribe(first).batch()) == [("quota", "p2", False), ("quota", "p3", False)]


async def test_an_old_revision_and_a_slow_reader_are_told_to_begin_again() -> None:
    feed = Feed(size=3)
    feed.begin(10)
    assert seen(await feed.subscribe(9).batch()) == [("reset", "", False)]
    slow = feed.subscribe(10)
    for revision in range(11, 20):
        feed.publish([Change("quota", "p", "p", revision)], revision)
    assert await slow.batch() == [Change("reset", "", None, 19)]
    feed.publish([Change("quota", "q", "q", 20)], 20)
    assert await anext(slow) == Change("quota", "q", "q", 20)
    assert [change.revision for change in await feed.subscribe(18).batch()] == [19, 20]
    assert isinstance(slow, Subscription)


async def test_a_subscriber_from_another_server_does_not_hear_what_it_knows() -> None:
    feed = Feed()
    feed.begin(10)
    ahead = feed.subscribe(12)
    for revision in (11, 12, 13):
        feed.publish([Change("quota", "p", "p", revision)], revision)
    assert [change.revision for change in await ahead.batch()] == [13]


async def test_the_end_of_a_node_is_told_of_its_containers_too(far: World) -> None:
    await far.node()
    entry = await far.wish(record())
    await far.running(entry.uuid)
    subscription = far.view.subscribe()
    await far.node_dies()
    assert seen(await subscription.batch()) == [("node", "n1", False), ("container", entry.uuid, False)]


async def test_after_a_compaction_the_outcome_of_what_was_missed_is_told(far: World, clock: ManualClock) -> None:
    store = the_store(far)
    kept, changed, deleted = [await far.wish(record(name=name)) for name in ("kept", "changed", "deleted")]
    await far.node()
    subscription = far.view.subscribe()
    store.disconnect()
    await until(clock, lambda: far.view.stale_since is not None)
    flash, new = record(name="flash"), record(name="new")
    renamed: ContainerRecord = changed.record()
    renamed.spec.name = "renamed"
    for op in (
        Put(keys.container(flash.uuid), codec.encode(flash)),
        Put(keys.container(new.uuid), codec.encode(new)),
        Put(keys.container(changed.uuid), codec.encode(renamed)),
        Delete(keys.container(deleted.uuid)),
        Delete(keys.container(flash.uuid)),
        Delete(keys.node_alive("n1")),
    ):
        await store.transact([], [op])
    await store.compact(await MemoryStore.revision(store))
    store.reconnect()
    await until(clock, lambda: far.view.container(new.uuid) is not None)
    told = seen(await subscription.batch())
    assert told == [
        ("container", new.uuid, False),
        ("container", changed.uuid, False),
        ("container", deleted.uuid, True),
        ("node", "n1", False),
    ]
    assert far.view.container(deleted.uuid) is None
    assert far.entry(changed.uuid).name == "renamed"
    assert far.entry(kept.uuid).record() == kept.record()
    node = far.view.node("n1")
    assert node is not None
    assert not node.alive


async def test_with_the_store_away_reads_answer_from_the_view_and_say_since_when(
    far: World, clock: ManualClock
) -> None:
    entry = await far.wish(record())
    store = the_store(far)
    assert far.view.stale_since is None
    store.disconnect()
    gone_at = clock.now()
    await far.view.fresh()
    assert far.view.stale_since == gone_at
    assert far.view.derive(entry).status is Status.CREATING
    asked = store.asked
    await far.view.fresh()
    assert store.asked == asked, "requests do not wait one by one for a store that is away"
    store.reconnect()
    await until(clock, lambda: far.view.stale_since is None)
    late = record()
    await store.transact([], [Put(keys.container(late.uuid), codec.encode(late))])
    await far.view.fresh()
    assert far.entry(late.uuid).record() == late


async def test_that_the_store_hangs_is_known_though_nobody_reads(far: World, clock: ManualClock) -> None:
    await far.wish(record())
    store = the_store(far)
    store.hold.clear()
    asked = store.asked
    await until(clock, lambda: store.asked > asked)
    store.away = True
    store.hold.set()
    await until(clock, lambda: far.view.stale_since is not None)
    with pytest.raises(Unavailable, match="nothing was"):
        await far.view.trusted()


async def test_a_store_that_may_only_be_slow_is_left_to_find_out_by_who_changes_something(
    far: World, clock: ManualClock
) -> None:
    store = the_store(far)
    await far.view.fresh()
    store.away = True
    await far.view.trusted()
    assert far.view.stale_since is not None
    clock.advance(AWAY_SECONDS)
    with pytest.raises(Unavailable, match="nothing was"):
        await far.view.trusted()


async def test_reads_that_come_together_share_one_question_but_not_one_asked_before(far: World) -> None:
    store = the_store(far)
    before = store.asked
    store.hold.clear()
    early = asyncio.ensure_future(far.view.fresh())
    await asyncio.sleep(0.01)
    assert store.asked == before + 1
    later = [asyncio.ensure_future(far.view.fresh()) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert store.asked == before + 1
    store.hold.set()
    await asyncio.gather(early, *later)
    assert store.asked == before + 2


async def test_a_view_resumes_its_watch_without_listing_again(far: World, clock: ManualClock) -> None:
    store = the_store(far)
    subscription = far.view.subscribe()
    store.disconnect()
    await until(clock, lambda: far.view.stale_since is not None)
    wished = record()
    await store.transact([], [Put(keys.container(wished.uuid), codec.encode(wished))])
    await store.transact([], [Delete(keys.container(wished.uuid))])
    store.reconnect()
    assert isinstance(far.view, View)
    told: list[Change] = []
    waiting = asyncio.ensure_future(subscription.batch())
    await until(clock, waiting.done)
    told = waiting.result()
    assert seen(told) == [("container", wished.uuid, False), ("container", wished.uuid, True)]
