# SPDX-License-Identifier: Apache-2.0
"""The contract of a store, part two: watches. See `zun.store.contract`."""
# ruff: noqa: S101

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from zun.model.errors import Invalid
from zun.store.contract_keys import LONG_SECONDS, put
from zun.store.interface import (
    Compacted,
    Delete,
    DeletePrefix,
    Event,
    KeyValue,
    Put,
    Store,
    WatchBatch,
    unchanged,
)


async def until(changes: AsyncIterator[WatchBatch], revision: int) -> list[WatchBatch]:
    """The batches with events up to the one that reaches `revision`; checks that progress never goes back."""
    batches: list[WatchBatch] = []
    last = 0
    async with asyncio.timeout(LONG_SECONDS):
        while last < revision:
            batch = await anext(changes)
            assert batch.revision > last or not batch.events
            last = batch.revision
            if batch.events:
                assert batch.events[-1].kv.mod_revision <= batch.revision
                batches.append(batch)
    return batches


async def events_until(changes: AsyncIterator[WatchBatch], revision: int) -> list[Event]:
    """The events up to `revision`."""
    return [event for batch in await until(changes, revision) for event in batch.events]


class WatchContract:
    """Order, completeness and resumption of watches."""

    marks_progress: ClassVar[bool] = True
    """Whether a watch learns at once of revisions that did not touch its prefix."""

    async def test_a_watch_tells_of_each_change_in_order(self, store: Store, root: str) -> None:
        start = await store.revision() + 1
        async with store.watch(root, from_revision=start) as changes:
            first = await put(store, root + "a", b"one")
            second = await put(store, root + "a", b"two")
            third = (await store.transact([], [Delete(root + "a")])).revision
            events = await events_until(changes, third)
        assert events == [
            Event(KeyValue(root + "a", b"one", first, first, 1), deleted=False),
            Event(KeyValue(root + "a", b"two", first, second, 2), deleted=False),
            Event(KeyValue(root + "a", b"", 0, third, 0), deleted=True),
        ]

    async def test_a_watch_tells_of_its_prefix_only(self, store: Store, root: str) -> None:
        start = await store.revision() + 1
        async with store.watch(root + "a/", from_revision=start) as changes:
            last = 0
            for key in ("a", "a/1", "b", "a0", "a/2"):
                last = await put(store, root + key)
            assert [event.kv.key for event in await events_until(changes, last)] == [root + "a/1", root + "a/2"]

    async def test_a_watch_from_the_past_goes_on_into_the_present_without_gap(self, store: Store, root: str) -> None:
        revisions = [await put(store, root + "a", str(number).encode()) for number in range(20)]
        async with store.watch(root, from_revision=revisions[5]) as changes:
            revisions += [await put(store, root + "a", str(number).encode()) for number in range(20, 40)]
            events = await events_until(changes, revisions[-1])
        assert [event.kv.mod_revision for event in events] == revisions[5:]
        assert [event.kv.value for event in events] == [str(number).encode() for number in range(5, 40)]

    async def test_a_watch_from_the_future_leaves_out_what_comes_before(self, store: Store, root: str) -> None:
        start = await store.revision() + 3
        async with store.watch(root, from_revision=start) as changes:
            revisions = [await put(store, root + str(number)) for number in range(5)]
            events = await events_until(changes, revisions[-1])
        assert [event.kv.mod_revision for event in events] == revisions[2:]

    async def test_a_watch_begins_at_revision_one_or_later(self, store: Store, root: str) -> None:
        with pytest.raises(Invalid):
            async with store.watch(root, from_revision=0):
                pass

    async def test_a_transaction_arrives_whole_and_in_the_order_of_its_operations(
        self, store: Store, root: str
    ) -> None:
        await store.transact([], [Put(f"{root}old/{number}", b"") for number in range(10)])
        start = await store.revision() + 1
        async with store.watch(root, from_revision=start) as live:
            puts = [Put(f"{root}{number:03}", b"") for number in reversed(range(100))]
            revision = (await store.transact([], [*puts, DeletePrefix(root + "old/")])).revision
            later = await put(store, root + "later")
            live_batches = await until(live, later)
        async with store.watch(root, from_revision=start) as past:
            past_batches = await until(past, later)
        expected = [op.key for op in puts] + [f"{root}old/{number}" for number in range(10)]
        for batches in (live_batches, past_batches):
            (whole,) = [batch for batch in batches if batch.events[0].kv.mod_revision == revision]
            assert [event.kv.key for event in whole.events if event.kv.mod_revision == revision] == expected
            assert [event.deleted for event in whole.events][:110] == [False] * 100 + [True] * 10

    async def test_large_changes_arrive_whole_too(self, store: Store, root: str) -> None:
        start = await store.revision() + 1
        revisions = [
            (await store.transact([], [Put(f"{root}{part}", bytes(480_000)) for part in "abc"])).revision
            for _ in range(6)
        ]
        async with store.watch(root, from_revision=start) as changes:
            batches = await until(changes, revisions[-1])
        events = [event for batch in batches for event in batch.events]
        assert [event.kv.mod_revision for event in events] == [r for r in revisions for _ in range(3)]
        for batch in batches:
            assert len(batch.events) % 3 == 0
            assert batch.events[-1].kv.mod_revision == batch.revision

    async def test_a_deleted_prefix_and_what_replaces_it_are_two_transactions(self, store: Store, root: str) -> None:
        await put(store, root + "a/1")
        start = await store.revision() + 1
        async with store.watch(root, from_revision=start) as changes:
            await store.transact([], [DeletePrefix(root + "a/")])
            last = await put(store, root + "a/1", b"again")
            events = await events_until(changes, last)
        assert [(event.deleted, event.kv.version) for event in events] == [(True, 0), (False, 1)]

    async def test_a_watch_from_before_the_compaction_is_told_so(self, store: Store, root: str) -> None:
        revisions = [await put(store, root + "a", str(number).encode()) for number in range(6)]
        await store.compact(revisions[3])
        with pytest.raises(Compacted) as refusal:
            async with store.watch(root, from_revision=revisions[2]) as changes:
                await until(changes, revisions[-1])
        assert refusal.value.compact_revision == revisions[3]
        async with store.watch(root, from_revision=revisions[3]) as changes:
            events = await events_until(changes, revisions[-1])
        assert [event.kv.value for event in events] == [b"3", b"4", b"5"]

    async def test_a_compaction_does_not_disturb_a_watch_that_is_up_to_date(self, store: Store, root: str) -> None:
        first = await put(store, root + "a")
        async with store.watch(root, from_revision=first) as changes:
            second = await put(store, root + "a")
            await until(changes, second)
            await store.compact(second)
            third = await put(store, root + "a")
            assert [event.kv.mod_revision for event in await events_until(changes, third)] == [third]

    async def test_a_progress_mark_never_runs_ahead_of_the_events(self, store: Store, root: str) -> None:
        start = await store.revision() + 1
        async with store.watch(root + "a/", from_revision=start) as changes:
            seen: list[int] = []
            expected: list[int] = []
            for number in range(50):
                await put(store, root + "elsewhere")
                await store.revision()
                expected.append(await put(store, f"{root}a/{number}"))
            async with asyncio.timeout(LONG_SECONDS):
                while len(seen) < len(expected):
                    batch = await anext(changes)
                    seen += [event.kv.mod_revision for event in batch.events]
                    assert seen == [revision for revision in expected if revision <= batch.revision]

    async def test_a_watch_learns_of_revisions_that_did_not_touch_it(self, store: Store, root: str) -> None:
        if not self.marks_progress:
            pytest.skip("this store's server marks progress only now and then")
        start = await store.revision() + 1
        async with store.watch(root + "a/", from_revision=start) as changes:
            await put(store, root + "elsewhere")
            assert await until(changes, await store.revision()) == []

    async def test_many_watchers_all_see_everything(self, store: Store, root: str) -> None:
        start = await store.revision() + 1
        ready = asyncio.Barrier(101)

        async def follow(number: int) -> list[str]:
            prefix = f"{root}{number % 10}/" if number % 2 else root
            async with store.watch(prefix, from_revision=start) as changes:
                await ready.wait()
                events: list[Event] = []
                while not events or events[-1].kv.value != b"last":
                    events += (await anext(changes)).events
                return [event.kv.key for event in events]

        async with asyncio.timeout(LONG_SECONDS), asyncio.TaskGroup() as tasks:
            followers = [tasks.create_task(follow(number)) for number in range(100)]
            await ready.wait()
            keys = [f"{root}{number % 10}/{number}" for number in range(30)]
            for key in keys:
                await put(store, key)
            last = [Put(f"{root}{number}/last", b"last") for number in range(10)]
            await store.transact([], last)
        for number, follower in enumerate(followers):
            prefix = f"{root}{number % 10}/" if number % 2 else root
            assert follower.result() == [key for key in [*keys, *(op.key for op in last)] if key.startswith(prefix)]

    async def test_concurrent_writers_are_seen_in_the_order_of_their_revisions(self, store: Store, root: str) -> None:
        start = await store.revision() + 1
        done: list[int] = []

        async def write(name: str) -> None:
            revision = 0
            for number in range(10):
                result = await store.transact(
                    [unchanged(root + name, revision)], [Put(root + name, str(number).encode())]
                )
                revision = result.revision
                done.append(revision)

        async with store.watch(root, from_revision=start) as changes:
            async with asyncio.timeout(LONG_SECONDS), asyncio.TaskGroup() as tasks:
                for writer in range(8):
                    tasks.create_task(write(f"w{writer}"))
            events = await events_until(changes, max(done))
        assert [event.kv.mod_revision for event in events] == sorted(done)

    async def test_a_watch_that_was_left_can_be_taken_up_again(self, store: Store, root: str) -> None:
        revisions = [await put(store, root + "a") for _ in range(3)]
        async with store.watch(root, from_revision=revisions[0]) as changes:
            first = await anext(changes)
        revisions += [await put(store, root + "a") for _ in range(3)]
        async with store.watch(root, from_revision=first.revision + 1) as changes:
            rest = await events_until(changes, revisions[-1])
        assert [event.kv.mod_revision for event in (*first.events, *rest)] == revisions

    async def test_a_consumer_that_gives_up_waiting_misses_nothing(self, store: Store, root: str) -> None:
        start = await store.revision() + 1
        async with store.watch(root, from_revision=start) as changes:
            waiting = asyncio.ensure_future(anext(changes))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            revision = await put(store, root + "a")
            assert len(await events_until(changes, revision)) == 1
