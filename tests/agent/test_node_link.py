# SPDX-License-Identifier: Apache-2.0
"""What an agent hears from the control plane, and what of its words arrives there."""

import asyncio

import pytest
from agent_records import C1, NODE, inbox, intent, uuid_of

from zun.base.clock import ManualClock
from zun.model.records import ActionResult, ImageObservation, Inbox, Observation, SeenState, Verb
from zun.store import codec, keys
from zun.store.interface import Delete, Put
from zun.store.memory import MemoryStore
from zun.store.nodelink import DropResult, Forget, InboxBatch, ResultReport
from zun.store.nodelink_store import StoreNodeLink


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def link(store: MemoryStore, clock: ManualClock) -> StoreNodeLink:
    return StoreNodeLink(store, NODE, clock)


async def put_inbox(store: MemoryStore, entry: Inbox) -> None:
    await store.transact([], [Put(keys.inbox(NODE, entry.uuid), codec.encode(entry))])


async def test_the_inbox_begins_with_all_there_is_and_goes_on_with_changes(
    store: MemoryStore, link: StoreNodeLink
) -> None:
    await put_inbox(store, inbox(C1, intent(1, Verb.CREATE)))
    async with link.inbox() as batches:
        first = await anext(batches)
        assert first.snapshot
        assert set(first.containers) == {C1}
        await put_inbox(store, inbox(uuid_of(2), intent(1, Verb.CREATE)))
        await store.transact([], [Delete(keys.inbox(NODE, C1))])
        changes: dict[str, Inbox | None] = {}
        while len(changes) < 2:
            batch = await anext(batches)
            assert not batch.snapshot
            changes |= batch.containers
        assert changes[C1] is None
        assert changes[uuid_of(2)] is not None


async def test_the_nodes_certificate_is_no_order(store: MemoryStore, link: StoreNodeLink) -> None:
    await store.transact([], [Put(keys.node_certificate(NODE), b"{}")])
    async with link.inbox() as batches:
        first = await anext(batches)
        assert (first.containers, first.damaged) == ({}, frozenset())
        await store.transact([], [Put(keys.node_certificate(NODE), b"[]")])
        await put_inbox(store, inbox(C1, intent(1, Verb.CREATE)))
        while not (batch := await anext(batches)).containers:
            assert batch.damaged == frozenset()


async def test_an_inbox_of_many_pages_is_one_snapshot(store: MemoryStore, link: StoreNodeLink) -> None:
    for number in range(1203):
        await put_inbox(store, inbox(uuid_of(number)))
    async with link.inbox() as batches:
        assert len((await anext(batches)).containers) == 1203


async def test_after_a_gap_the_whole_inbox_comes_again(store: MemoryStore, link: StoreNodeLink) -> None:
    async with link.inbox() as batches:
        assert (await anext(batches)).containers == {}
        await put_inbox(store, inbox(C1))
        await put_inbox(store, inbox(uuid_of(2)))
        await store.compact(await store.revision())
        batch = await anext(batches)
        assert batch.snapshot
        assert set(batch.containers) == {C1, uuid_of(2)}


async def test_an_entry_nobody_can_read_is_named_and_not_taken_for_removed(
    store: MemoryStore, link: StoreNodeLink
) -> None:
    await store.transact([], [Put(keys.inbox(NODE, C1), b"{broken")])
    async with link.inbox() as batches:
        batch = await anext(batches)
        told = InboxBatch(snapshot=True, containers={}, images={}, damaged=frozenset({C1}), revision=batch.revision)
        assert batch == told


async def test_a_result_and_what_is_seen_become_visible_together(store: MemoryStore, link: StoreNodeLink) -> None:
    before = await store.revision()
    await link.report(
        [
            Observation(C1, 1, SeenState.RUNNING, intent_done=2),
            ResultReport(C1, ActionResult("req-1", 2, 1.0, finish_time=2.0)),
            ImageObservation(uuid_of(9), "ready"),
        ]
    )
    assert await store.revision() == before + 1
    remembered = await link.remembered()
    assert remembered.observations[C1].intent_done == 2
    assert remembered.results == {C1: ["req-1"]}
    assert remembered.images[uuid_of(9)].state == "ready"


async def test_more_reports_than_a_transaction_holds_are_all_written(store: MemoryStore, link: StoreNodeLink) -> None:
    await link.report([Observation(uuid_of(number), 1, SeenState.RUNNING) for number in range(300)])
    assert len((await link.remembered()).observations) == 300
    big = "x" * 500_000
    await link.report([Observation(uuid_of(number), 1, SeenState.RUNNING, reason=big) for number in range(5)])
    assert (await link.remembered()).observations[uuid_of(4)].reason == big


async def test_forgetting_leaves_nothing_even_right_after_a_report(store: MemoryStore, link: StoreNodeLink) -> None:
    result = ActionResult("req-1", 1, 1.0, finish_time=1.0)
    await link.report([Observation(C1, 1, SeenState.GONE), ResultReport(C1, result), Forget(C1)])
    assert (await store.range(keys.node_prefix(NODE))).items == ()
    await link.report([Forget(C1), Observation(C1, 2, SeenState.CREATED)])
    assert (await link.remembered()).observations[C1].generation == 2


async def test_an_old_result_can_be_dropped_alone(link: StoreNodeLink) -> None:
    for number in (1, 2):
        await link.report([ResultReport(C1, ActionResult(f"req-{number}", number, 1.0, finish_time=1.0))])
    await link.report([DropResult(C1, "req-1")])
    assert (await link.remembered()).results == {C1: ["req-2"]}


async def test_a_silent_node_is_no_longer_alive_and_comes_back_with_a_new_lease(
    store: MemoryStore, link: StoreNodeLink, clock: ManualClock
) -> None:
    assert await link.heartbeat() == await store.revision()
    assert await store.get(keys.node_alive(NODE)) is not None
    for _ in range(3):
        await asyncio.sleep(0)
        clock.advance(4)
        assert await link.heartbeat() == 0
    assert await store.get(keys.node_alive(NODE)) is not None
    await asyncio.sleep(0)
    clock.advance(11)
    for _ in range(10):
        await asyncio.sleep(0)
    assert await store.get(keys.node_alive(NODE)) is None
    assert await link.heartbeat() == await store.revision()
    assert await store.get(keys.node_alive(NODE)) is not None
    await link.close()
    assert await store.get(keys.node_alive(NODE)) is None
    await store.close()


async def test_only_blobs_of_that_container_and_node_are_fetched(store: MemoryStore, link: StoreNodeLink) -> None:
    for node, uuid, number in ((NODE, C1, 0), (NODE, C1, 11), (NODE, uuid_of(2), 0), ("other", C1, 0)):
        await store.transact([], [Put(keys.blob(node, uuid, number), f"{node}{uuid}{number}".encode())])
    assert await link.fetch_blobs(C1) == {0: f"{NODE}{C1}0".encode(), 11: f"{NODE}{C1}11".encode()}


async def test_a_renewal_that_is_answered_though_the_node_counts_as_lost_is_not_believed(
    store: MemoryStore, link: StoreNodeLink
) -> None:
    """As by an etcd leader that is stuck and was replaced: it renews leases that its successor let end."""
    await link.heartbeat()
    await store.transact([], [Delete(keys.node_alive(NODE))])
    assert await link.heartbeat() > 0
    assert await link.heartbeat() == 0


async def test_whoever_compares_the_life_of_a_node_learns_that_it_was_away_and_came_back(
    store: MemoryStore, link: StoreNodeLink
) -> None:
    await link.heartbeat()
    before = await store.get(keys.node_life(NODE))
    await link.heartbeat()
    assert await store.get(keys.node_life(NODE)) == before
    await store.transact([], [Delete(keys.node_alive(NODE))])
    await link.heartbeat()
    assert await store.get(keys.node_life(NODE)) != before
