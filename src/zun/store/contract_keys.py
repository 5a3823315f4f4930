# SPDX-License-Identifier: Apache-2.0
"""The contract of a store, part one: keys, transactions, ranges, compaction. See `zun.store.contract`."""
# ruff: noqa: S101

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from zun.model.errors import Invalid
from zun.store.interface import (
    MAX_REQUEST_BYTES,
    MAX_TXN_OPS,
    Compacted,
    Compare,
    CompareField,
    Delete,
    DeletePrefix,
    Get,
    KeyValue,
    Op,
    Put,
    Store,
    absent,
    unchanged,
)

LONG_SECONDS = 60.0


async def put(store: Store, key: str, value: bytes = b"", lease: int = 0) -> int:
    """Write one key; returns the revision."""
    return (await store.transact([], [Put(key, value, lease)])).revision


async def keys_of(store: Store, prefix: str) -> list[str]:
    """The keys with a prefix."""
    return [kv.key for kv in (await store.range(prefix)).items]


def _under(root: str, op: Op) -> Op:
    if isinstance(op, DeletePrefix):
        return DeletePrefix(root + op.prefix)
    return msgspec.structs.replace(op, key=root + op.key)


class TransactionContract:
    """Revisions, conditions, operations and their limits."""

    async def test_a_new_key_carries_the_revision_that_made_it(self, store: Store, root: str) -> None:
        before = await store.revision()
        revision = await put(store, root + "a", b"one")
        assert revision == before + 1
        assert await store.get(root + "a") == KeyValue(root + "a", b"one", revision, revision, 1)
        assert await store.revision() == revision
        assert store.known_revision() in (None, revision)

    async def test_each_write_raises_the_version_and_keeps_the_creation(self, store: Store, root: str) -> None:
        created = await put(store, root + "a", b"one")
        await put(store, root + "other")
        written = await put(store, root + "a", b"two")
        assert await store.get(root + "a") == KeyValue(root + "a", b"two", created, written, 2)

    async def test_a_key_that_was_deleted_begins_anew(self, store: Store, root: str) -> None:
        await put(store, root + "a", b"one")
        await store.transact([], [Delete(root + "a")])
        assert await store.get(root + "a") is None
        again = await put(store, root + "a", b"two")
        assert await store.get(root + "a") == KeyValue(root + "a", b"two", again, again, 1)

    async def test_all_writes_of_a_transaction_share_one_revision(self, store: Store, root: str) -> None:
        before = await put(store, root + "old")
        result = await store.transact([], [Put(root + "a", b"1"), Put(root + "b", b"2"), Delete(root + "old")])
        assert (result.succeeded, result.revision) == (True, before + 1)
        assert {kv.mod_revision for kv in (await store.range(root)).items} == {before + 1}

    @pytest.mark.parametrize("ops", [[], [Get("k")], [Delete("absent")], [DeletePrefix("absent")]])
    async def test_what_changes_nothing_does_not_raise_the_revision(
        self, store: Store, root: str, ops: Sequence[Op]
    ) -> None:
        before = await put(store, root + "k")
        result = await store.transact([], [_under(root, op) for op in ops])
        assert result.revision == before == await store.revision()

    async def test_a_failed_condition_does_the_other_branch_only(self, store: Store, root: str) -> None:
        before = await put(store, root + "a", b"one")
        result = await store.transact(
            [absent(root + "a")], [Put(root + "a", b"wrong")], [Put(root + "b", b"right"), Get(root + "a")]
        )
        assert (result.succeeded, result.revision) == (False, before + 1)
        assert [kv.value for kv in result.reads if kv] == [b"one"]
        assert await store.get(root + "b") is not None

    @pytest.mark.parametrize("field", [CompareField.MOD_REVISION, CompareField.CREATE_REVISION, CompareField.VERSION])
    async def test_an_absent_key_compares_as_zero(self, store: Store, root: str, field: CompareField) -> None:
        assert (await store.transact([Compare(root + "a", field, 0)], [])).succeeded
        assert not (await store.transact([Compare(root + "a", field, 1)], [])).succeeded

    async def test_an_absent_key_has_no_value_not_even_the_empty_one(self, store: Store, root: str) -> None:
        compare = Compare(root + "a", CompareField.VALUE, b"")
        assert not (await store.transact([compare], [])).succeeded
        await put(store, root + "a", b"")
        assert (await store.transact([compare], [])).succeeded

    async def test_every_field_of_a_key_can_be_compared(self, store: Store, root: str) -> None:
        created = await put(store, root + "a", b"one")
        changed = await put(store, root + "a", b"two")
        for field, right, wrong in (
            (CompareField.CREATE_REVISION, created, changed),
            (CompareField.MOD_REVISION, changed, created),
            (CompareField.VERSION, 2, 1),
            (CompareField.VALUE, b"two", b"one"),
        ):
            assert (await store.transact([Compare(root + "a", field, right)], [])).succeeded, field
            assert not (await store.transact([Compare(root + "a", field, wrong)], [])).succeeded, field

    async def test_one_failed_condition_is_enough(self, store: Store, root: str) -> None:
        revision = await put(store, root + "a")
        result = await store.transact([unchanged(root + "a", revision), unchanged(root + "b", revision)], [])
        assert not result.succeeded

    async def test_reads_see_the_writes_before_them_in_the_transaction(self, store: Store, root: str) -> None:
        await put(store, root + "p/1")
        await put(store, root + "d")
        result = await store.transact(
            [],
            [
                *(Get(root + "a"), Put(root + "a", b"new"), Get(root + "a")),
                *(Get(root + "d"), Delete(root + "d"), Get(root + "d")),
                *(Get(root + "p/1"), DeletePrefix(root + "p/"), Get(root + "p/1")),
            ],
        )
        found = result.reads
        assert [kv is not None for kv in found] == [False, True, True, False, True, False]
        assert found[1] == KeyValue(root + "a", b"new", result.revision, result.revision, 1)

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (Put("a/1", b"1"), Put("a/1", b"2")),
            (Put("a/1", b"1"), Delete("a/1")),
            (Delete("a/1"), Put("a/1", b"1")),
            (Delete("a/1"), Delete("a/1")),
            (Put("a/1", b"1"), DeletePrefix("a/")),
            (DeletePrefix("a/"), Delete("a/1")),
            (DeletePrefix("a/"), DeletePrefix("a/1")),
        ],
    )
    async def test_a_key_written_twice_is_refused(self, store: Store, root: str, first: Op, second: Op) -> None:
        before = await put(store, root + "a/1", b"0")
        twice = [_under(root, first), _under(root, second)]
        for success, failure in ((twice, ()), ((), twice)):
            with pytest.raises(Invalid):
                await store.transact([], success, failure)
        assert await store.revision() == before

    async def test_both_branches_may_write_the_same_key(self, store: Store, root: str) -> None:
        result = await store.transact([absent(root + "a")], [Put(root + "a", b"s")], [Put(root + "a", b"f")])
        assert result.succeeded

    async def test_128_operations_pass_and_129_are_too_many(self, store: Store, root: str) -> None:
        ops = [Put(f"{root}{number}", b"") for number in range(MAX_TXN_OPS + 1)]
        compares = [absent(f"{root}{number}") for number in range(MAX_TXN_OPS + 1)]
        before = await store.revision()
        for many_compares, success, failure in ((compares, (), ()), ((), ops, ()), ((), (), ops)):
            with pytest.raises(Invalid) as refusal:
                await store.transact(many_compares, success, failure)
            assert refusal.value.code == "too-large"
        assert await store.revision() == before
        result = await store.transact(compares[1:], ops[1:], ops[1:])
        assert (result.succeeded, result.revision) == (True, before + 1)

    async def test_a_request_over_the_size_limit_is_refused_and_one_below_is_kept(
        self, store: Store, root: str
    ) -> None:
        before = await store.revision()
        with pytest.raises(Invalid) as refusal:
            await put(store, root + "a", bytes(MAX_REQUEST_BYTES))
        assert refusal.value.code == "too-large"
        half = bytes(MAX_REQUEST_BYTES // 2)
        with pytest.raises(Invalid):
            await store.transact([], [Put(root + "a", half)], [Put(root + "a", half)])
        assert await store.revision() == before
        value = bytes(range(256)) * ((MAX_REQUEST_BYTES - 1000) // 256)
        await put(store, root + "a", value)
        found = await store.get(root + "a")
        assert found is not None
        assert found.value == value

    @pytest.mark.parametrize("key", ["", "\ud800"])
    async def test_a_key_no_store_can_hold_is_refused(self, store: Store, key: str) -> None:
        for ops in ([Put(key, b"")], [Delete(key)], [Get(key)]):
            with pytest.raises(Invalid):
                await store.transact([], ops)
        with pytest.raises(Invalid):
            await store.get(key)

    async def test_concurrent_increments_are_all_counted(self, store: Store, root: str) -> None:
        key = root + "counter"
        await put(store, key, b"0")

        async def increment() -> None:
            done = False
            while not done:
                found = await store.get(key)
                assert found is not None
                more = str(int(found.value) + 1).encode()
                done = (await store.transact([unchanged(key, found.mod_revision)], [Put(key, more)])).succeeded

        async with asyncio.timeout(LONG_SECONDS), asyncio.TaskGroup() as tasks:
            for _ in range(30):
                tasks.create_task(increment())
        found = await store.get(key)
        assert found is not None
        assert (found.value, found.version) == (b"30", 31)


class RangeContract:
    """Ranges, the past, and its end."""

    async def test_a_range_is_in_byte_order_and_ends_with_its_prefix(self, store: Store, root: str) -> None:
        inside = ["a", "a/", "a/b", "aZ", "a\x7f", "aé", "a\uffff", "a\U0010ffff", "a\U0010ffffz"]
        for key in reversed([*inside, "", "A", "b", "`"]):
            await put(store, root + key)
        result = await store.range(root + "a")
        assert [kv.key for kv in result.items] == sorted(root + key for key in inside)
        assert (result.revision, result.more) == (await store.revision(), False)
        assert await keys_of(store, root + "a\U0010ffff") == [root + "a\U0010ffff", root + "a\U0010ffffz"]

    async def test_deleting_a_prefix_leaves_its_neighbours(self, store: Store, root: str) -> None:
        for key in ("a", "a/1", "a/2", "a0", "b"):
            await put(store, root + key)
        await store.transact([], [DeletePrefix(root + "a/")])
        assert await keys_of(store, root) == [root + key for key in ("a", "a0", "b")]

    async def test_pages_follow_each_other_at_one_revision(self, store: Store, root: str) -> None:
        for number in range(7):
            await put(store, f"{root}{number}", b"before")
        page = await store.range(root, limit=3)
        await store.transact([], [Delete(root + "4"), Put(root + "5", b"after"), Put(root + "55", b"after")])
        items, first = list(page.items), page
        while page.more:
            page = await store.range(root, start_after=items[-1].key, limit=3, revision=first.revision)
            assert page.revision == first.revision
            items += page.items
        assert [kv.key for kv in items] == [f"{root}{number}" for number in range(7)]
        assert {kv.value for kv in items} == {b"before"}

    async def test_a_page_that_is_just_full_has_no_more(self, store: Store, root: str) -> None:
        for key in "abc":
            await put(store, root + key)
        assert not (await store.range(root, limit=3)).more
        assert (await store.range(root, limit=2)).more
        assert (await store.range(root, start_after=root + "c", limit=2)).items == ()
        assert len((await store.range(root, start_after="!")).items) == 3

    async def test_keys_only_leaves_the_values_out(self, store: Store, root: str) -> None:
        revision = await put(store, root + "a", b"long")
        result = await store.range(root, keys_only=True)
        assert result.items == (KeyValue(root + "a", b"", revision, revision, 1),)

    async def test_a_large_range_comes_whole(self, store: Store, root: str) -> None:
        for chunk in range(20):
            await store.transact([], [Put(f"{root}{chunk:02}/{place:03}", bytes(5000)) for place in range(120)])
        result = await store.range(root)
        assert len(result.items) == 2400
        assert len({kv.key for kv in result.items}) == 2400

    async def test_the_past_can_be_read(self, store: Store, root: str) -> None:
        first = await put(store, root + "a", b"one")
        second = await put(store, root + "a", b"two")
        third = (await store.transact([], [Delete(root + "a"), Put(root + "b", b"new")])).revision
        found = await store.get(root + "a", revision=first)
        assert found == KeyValue(root + "a", b"one", first, first, 1)
        assert await store.get(root + "a", revision=second) == KeyValue(root + "a", b"two", first, second, 2)
        assert await store.get(root + "a", revision=third) is None
        past = await store.range(root, revision=second)
        assert [(kv.key, kv.value) for kv in past.items] == [(root + "a", b"two")]
        assert past.revision == second

    async def test_the_future_cannot_be_read(self, store: Store, root: str) -> None:
        future = await store.revision() + 1
        with pytest.raises(Invalid):
            await store.get(root + "a", revision=future)
        with pytest.raises(Invalid):
            await store.range(root, revision=future)
        with pytest.raises(Invalid):
            await store.range(root, limit=-1)

    async def test_compaction_forgets_the_past_and_nothing_else(self, store: Store, root: str) -> None:
        first = await put(store, root + "a", b"one")
        await put(store, root + "stays", b"kept")
        await put(store, root + "gone")
        await store.transact([], [Delete(root + "gone")])
        second = await put(store, root + "a", b"two")
        third = await put(store, root + "a", b"three")
        await store.compact(second)
        for revision in (first, second - 1):
            with pytest.raises(Compacted) as refusal:
                await store.range(root, revision=revision)
            assert refusal.value.compact_revision == second
            with pytest.raises(Compacted):
                await store.get(root + "a", revision=revision)
        past = await store.range(root, revision=second)
        assert [(kv.key, kv.value) for kv in past.items] == [(root + "a", b"two"), (root + "stays", b"kept")]
        assert [kv.value for kv in (await store.range(root)).items] == [b"three", b"kept"]
        assert await store.revision() == third

    async def test_compaction_goes_forward_only_and_not_beyond_now(self, store: Store, root: str) -> None:
        first = await put(store, root + "a")
        now = await put(store, root + "a")
        await store.compact(now)
        for done in (first, now):
            with pytest.raises(Compacted):
                await store.compact(done)
        with pytest.raises(Invalid):
            await store.compact(now + 1)
        assert await store.get(root + "a") is not None
