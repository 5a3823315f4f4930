# SPDX-License-Identifier: Apache-2.0
"""Transactions that wait together share one commit of the disk, and one failure."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from zun.base.clock import ManualClock
from zun.model.errors import Conflict, Unavailable
from zun.store.hub import Commit
from zun.store.interface import Event, KeyValue
from zun.store.retention import Retention
from zun.store.sqlite_schema import open_writer
from zun.store.sqlite_state import SqliteState
from zun.store.sqlite_writer import Writer

PATIENCE = 20.0


class SlowState(SqliteState):
    """A state whose commits wait for `gate` and can be made to fail."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.commits = 0
        self.broken = False

    def commit(self) -> list[Commit]:
        if not self._commits:  # only tidied up
            return super().commit()
        self.entered.set()
        self.gate.wait(PATIENCE)
        self.commits += 1
        if self.broken:
            raise sqlite3.OperationalError("database or disk is full")
        return super().commit()


class Bench:
    """A writer on its own, and what it published."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self.state = SlowState(open_writer(path))
        self.published: list[tuple[int, ...]] = []
        self.writer = Writer(path, self.state, clock, Retention(), self._publish)

    def write(self, key: str) -> "asyncio.Future[int]":
        return self.writer.submit(lambda state: _put(state, key), len(key))

    async def block(self) -> "asyncio.Future[int]":
        """A write that is being committed until the gate opens."""
        first = self.write("first")
        await asyncio.to_thread(self.state.entered.wait, PATIENCE)
        return first

    def _publish(self, commits: Sequence[Commit]) -> None:
        self.published.append(tuple(commit.revision for commit in commits))


def _put(state: SqliteState, key: str) -> int:
    if key == "refused":
        raise Conflict("refused")
    revision = state.revision + 1
    state.apply((Event(KeyValue(key, b"", revision, revision, 1), deleted=False),))
    return revision


@pytest.fixture
async def bench(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "store.db", clock)
    yield bench
    bench.state.gate.set()
    await asyncio.to_thread(bench.writer.stop)


async def all_of(futures: "list[asyncio.Future[int]]") -> list[int]:
    async with asyncio.timeout(PATIENCE):
        return list(await asyncio.gather(*futures))


async def test_what_was_queued_during_a_commit_shares_the_next_one(bench: Bench) -> None:
    futures = [await bench.block()]
    futures += [bench.write(f"key{number}") for number in range(50)]
    bench.state.gate.set()
    assert await all_of(futures) == list(range(2, 53))
    assert bench.state.commits == 2
    assert bench.published == [(2,), tuple(range(3, 53))]


async def test_a_refusal_in_a_group_is_one_callers_matter(bench: Bench) -> None:
    first = await bench.block()
    before, refused, after = bench.write("before"), bench.write("refused"), bench.write("after")
    bench.state.gate.set()
    assert await all_of([first, before, after]) == [2, 3, 4]
    with pytest.raises(Conflict):
        await refused


async def test_watchers_have_a_group_before_its_writers_hear_of_it(bench: Bench) -> None:
    seen: list[int] = []
    future = await bench.block()
    future.add_done_callback(lambda _: seen.append(len(bench.published)))
    bench.state.gate.set()
    await all_of([future])
    await asyncio.sleep(0)
    assert seen == [1]


async def test_a_failed_commit_fails_all_of_its_group_and_leaves_no_trace(bench: Bench) -> None:
    first = await bench.block()
    group = [bench.write("a"), bench.write("refused"), bench.write("b")]
    bench.state.broken = True
    bench.state.gate.set()
    for future in (first, *group):
        with pytest.raises(Unavailable, match="disk is full"):
            await future
    bench.state.broken = False
    assert await all_of([bench.write("again")]) == [2]
    assert bench.published == [(2,)]
    assert bench.state.live_keys("") == ["again"]


async def test_a_caller_that_gave_up_does_not_hold_up_the_others(bench: Bench) -> None:
    first = await bench.block()
    given_up, kept = bench.write("a"), bench.write("b")
    given_up.cancel()
    bench.state.gate.set()
    assert await all_of([first, kept]) == [2, 4]


async def test_stopping_finishes_what_is_queued(tmp_path: Path, clock: ManualClock) -> None:
    bench = Bench(tmp_path / "other.db", clock)
    futures = [await bench.block(), *(bench.write(f"key{number}") for number in range(5))]
    bench.state.gate.set()
    await asyncio.to_thread(bench.writer.stop)
    assert await all_of(futures) == list(range(2, 8))
    with pytest.raises(Unavailable):
        bench.write("late")
