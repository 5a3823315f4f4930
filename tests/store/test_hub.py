# SPDX-License-Identifier: Apache-2.0
"""Watches of the embedded stores: never behind an acknowledged write, and a slow watcher is nobody else's burden."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zun.base.clock import ManualClock
from zun.store.contract_keys import put
from zun.store.contract_watches import events_until, until
from zun.store.hub import MAX_QUEUED_BYTES, Commit, Watcher, WatchHub
from zun.store.interface import Compacted, Event, KeyValue, Store, WatchBatch
from zun.store.memory import MemoryStore
from zun.store.sqlite import SqliteStore

LARGE = MAX_QUEUED_BYTES // 8


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore(clock) if request.param == "memory" else await SqliteStore.open(tmp_path / "s.db", clock)
    yield made
    await made.close()


def at_once(changes: AsyncIterator[WatchBatch]) -> WatchBatch:
    """What the watch has without giving way to anything else."""
    step = changes.__anext__()
    assert asyncio.iscoroutine(step)
    with pytest.raises(StopIteration) as got:
        step.send(None)
    batch = got.value.value
    assert isinstance(batch, WatchBatch)
    return batch


async def test_an_acknowledged_write_is_in_the_queue_already(store: Store) -> None:
    async with store.watch("a/", from_revision=2) as changes:
        for number in range(20):
            revision = await put(store, f"a/{number}")
            assert [event.kv.mod_revision for event in at_once(changes).events] == [revision]
        elsewhere = await put(store, "b")
        assert at_once(changes) == WatchBatch(elsewhere, ())


async def test_progress_marks_do_not_pile_up(store: Store) -> None:
    async with store.watch("a/", from_revision=2) as changes:
        for _ in range(20):
            last = await put(store, "b")
        assert at_once(changes) == WatchBatch(last, ())


async def test_a_watcher_that_does_not_read_costs_bounded_memory_and_misses_nothing(store: Store) -> None:
    async with store.watch("", from_revision=2) as slow, store.watch("", from_revision=2) as quick:
        revisions = []
        for number in range(30):
            revisions.append(await put(store, "large", bytes([number]) * LARGE))
            assert [event.kv.mod_revision for event in at_once(quick).events] == revisions[-1:]
            assert isinstance(slow, Watcher)
            assert slow.queued_bytes <= MAX_QUEUED_BYTES
        events = await events_until(slow, revisions[-1])
        assert [event.kv.mod_revision for event in events] == revisions
        assert [event.kv.value[:1] for event in events] == [bytes([number]) for number in range(30)]
        later = await put(store, "large")
        assert [event.kv.mod_revision for event in await events_until(slow, later)] == [later]


async def test_a_watcher_that_slept_through_a_compaction_is_told_so(store: Store) -> None:
    async with store.watch("", from_revision=2) as slow:
        for _ in range(20):
            last = await put(store, "large", bytes(LARGE))
        await store.compact(last)
        with pytest.raises(Compacted):
            await events_until(slow, last)


async def test_a_watcher_reads_a_long_history_in_pages_of_whole_transactions(store: Store) -> None:
    revisions = [await put(store, f"k/{number % 7}") for number in range(2500)]
    async with store.watch("", from_revision=2) as changes:
        first = await anext(changes)
        rest = await events_until(changes, revisions[-1])
    assert len(first.events) < 2500
    assert [event.kv.mod_revision for event in (*first.events, *rest)] == revisions


async def test_a_history_of_large_values_comes_in_small_pages(store: Store) -> None:
    revisions = [await put(store, "large", bytes(LARGE)) for _ in range(6)]
    async with store.watch("", from_revision=2) as changes:
        pages = await until(changes, revisions[-1])
    assert [len(page.events) for page in pages] == [1] * 6


class NoHistory:
    """A history nobody should need."""

    async def changes(self, prefix: str, first: int, last: int, limit_bytes: int) -> WatchBatch:
        raise AssertionError("history was read")


async def test_a_group_of_commits_reaches_a_watcher_as_one_batch() -> None:
    hub = WatchHub(NoHistory(), 10)

    def commit(revision: int, *keys: str) -> Commit:
        return Commit(revision, tuple(Event(KeyValue(key, b"", 1, revision, 1), deleted=False) for key in keys))

    with hub.watcher("a/", 12) as watcher, hub.watcher("", 11) as everything:
        hub.publish([commit(11, "a/1"), commit(12, "b", "a/2", "a"), commit(13, "a/3", "a/4"), commit(14, "b")])
        batch = at_once(watcher)
        assert batch.revision == 14
        assert [event.kv.key for event in batch.events] == ["a/2", "a/3", "a/4"]
        assert len(at_once(everything).events) == 7
