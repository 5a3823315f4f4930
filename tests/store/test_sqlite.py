# SPDX-License-Identifier: Apache-2.0
"""What the embedded store adds to the contract: one owner, private files, and everything is there after a restart."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from zun.base.clock import ManualClock
from zun.model.errors import Unavailable, Unsupported
from zun.store.contract_keys import keys_of, put
from zun.store.contract_watches import events_until
from zun.store.interface import Compacted, Delete, Put
from zun.store.retention import Retention
from zun.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


@asynccontextmanager
async def opened(path: Path, clock: ManualClock, retention: Retention | None = None) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, clock, retention=retention)
    try:
        yield store
    finally:
        await store.close()


def modes_in(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in directory.iterdir()}


def bytes_in(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())


async def test_a_second_opener_is_told_who_has_the_file_and_what_to_do(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock):
        with pytest.raises(Unavailable, match=r"store\.db is in use by another process .*stop that process"):
            await SqliteStore.open(path, clock)
    async with opened(path, clock) as store:
        assert await store.revision() == 1


async def test_files_and_directory_are_private(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock) as store:
        await put(store, "a")
        modes = modes_in(path.parent)
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "store.db.lock"), 0o600)
    assert modes_in(path.parent.parent)["state"] == 0o700


async def test_a_file_that_was_opened_up_is_made_private_again(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock):
        pass
    await asyncio.to_thread(path.chmod, 0o644)
    async with opened(path, clock):
        assert modes_in(path.parent)["store.db"] == 0o600


async def test_keys_revisions_and_history_survive_a_restart(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock) as store:
        for value in (b"1", b"2", b"3"):
            await put(store, "a", value)
        last = (await store.transact([], [Delete("a"), Put("b", b"4")])).revision
        before = (await store.range(""), await store.range("", revision=last - 1))
    async with opened(path, clock) as store:
        assert (await store.range(""), await store.range("", revision=last - 1)) == before
        assert store.known_revision() == last
        async with store.watch("", from_revision=3) as changes:
            after = await put(store, "c")
            events = await events_until(changes, after)
        assert [(event.kv.key, event.kv.mod_revision, event.deleted) for event in events] == [
            ("a", 3, False),
            ("a", 4, False),
            ("a", 5, True),
            ("b", 5, False),
            ("c", 6, False),
        ]


async def test_compaction_survives_a_restart(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock) as store:
        revisions = [await put(store, "a") for _ in range(5)]
        await store.compact(revisions[3])
    async with opened(path, clock) as store:
        with pytest.raises(Compacted) as refusal:
            await store.range("", revision=revisions[2])
        assert refusal.value.compact_revision == revisions[3]
        assert [kv.version for kv in (await store.range("", revision=revisions[3])).items] == [4]


async def test_the_time_of_a_lease_begins_anew_at_a_restart(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock) as store:
        lease = await store.grant_lease(10)
        await put(store, "alive", b"", lease)
        clock.advance(9)
    clock.advance(60)
    async with opened(path, clock) as store:
        clock.advance(9)
        assert await store.keep_alive(lease) == 10
        start = await store.revision() + 1
        async with store.watch("", from_revision=start) as changes:
            clock.advance(10)
            events = await events_until(changes, start)
        assert [(event.kv.key, event.deleted) for event in events] == [("alive", True)]


async def test_an_ended_lease_stays_ended_after_a_restart(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock) as store:
        lease = await store.grant_lease(10)
        await put(store, "alive", b"", lease)
        await store.revoke(lease)
        revision = await store.revision()
    async with opened(path, clock) as store:
        assert await store.revision() == revision
        assert await keys_of(store, "") == []


async def test_a_store_of_a_newer_version_is_left_alone(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Unsupported, match="upgrade"):
        await SqliteStore.open(path, clock)


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"no database" * 1000), lambda path: path.mkdir()])
async def test_a_file_that_is_no_store_is_unavailable_and_the_lock_is_given_back(
    path: Path, clock: ManualClock, spoil: Callable[[Path], object]
) -> None:
    path.parent.mkdir()
    spoil(path)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"store\.db.*check"):
            await SqliteStore.open(path, clock)


async def test_overwriting_for_ever_does_not_grow_the_file_for_ever(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock, Retention(revisions=200)) as store:
        for _ in range(100):
            await asyncio.gather(*(put(store, f"key/{number % 10}", bytes(5000)) for number in range(100)))
        assert len((await store.range("key/")).items) == 10
        assert bytes_in(path.parent) < 25_000_000  # of which the write-ahead log may be up to 16
    assert bytes_in(path.parent) < 5_000_000


async def test_space_is_given_back_once_much_was_deleted(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock) as store:
        for number in range(20):
            await put(store, f"key/{number}", bytes(1_000_000))
        assert bytes_in(path.parent) > 20_000_000
        for number in range(20):
            await store.transact([], [Delete(f"key/{number}")])
        await store.compact(await store.revision())
    # Closing tidies nothing up; opening goes on where it was left.
    async with opened(path, clock) as store:
        await until(lambda: _free_pages(path) < 2000, lambda: put(store, "tick"))
    assert bytes_in(path.parent) < 10_000_000


def _free_pages(path: Path) -> int:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
        return int(pages)
    finally:
        connection.close()


async def until(reached: Callable[[], bool], step: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not reached():
            await step()


async def test_history_is_forgotten_after_its_time_even_when_there_is_little(path: Path, clock: ManualClock) -> None:
    async with opened(path, clock, Retention(seconds=600)) as store:
        old = await put(store, "a")
        clock.advance(100)
        await put(store, "a")
        assert len((await store.range("", revision=old)).items) == 1
        clock.advance(600)
        await put(store, "a")
        with pytest.raises(Compacted):
            await store.range("", revision=old)
        assert await keys_of(store, "") == ["a"]
