# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: every acknowledged write is there, and nothing by halves."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from zun.base.clock import ManualClock
from zun.store.contract_watches import events_until
from zun.store.interface import Compacted
from zun.store.sqlite import SqliteStore

ROUNDS = 8
PATIENCE = 60.0
WRITER = Path(__file__).with_name("crash_writer.py")


async def write_and_kill(path: Path, lines: int) -> list[tuple[int, int, int]]:
    """Run the writer until it said so many lines, kill it, and return all that it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WRITER), str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said: list[bytes] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while len(said) < lines:
                said.append(await process.stdout.readline())
                assert said[-1], "the writer ended by itself"
    finally:
        process.kill()
    async with asyncio.timeout(PATIENCE):
        said += (await process.stdout.read()).splitlines(keepends=True)
        await process.wait()
    whole = [line.split() for line in said if line.endswith(b"\n")]
    return [(int(task), int(count), int(revision)) for task, count, revision in whole]


async def check(path: Path, acknowledged: list[tuple[int, int, int]]) -> None:
    """Open what is left and compare."""
    store = await SqliteStore.open(path, ManualClock())
    try:
        newest = {kv.key: kv for kv in (await store.range("")).items}
        for task, count, revision in acknowledged:
            assert newest[f"claim/{task}/{count}"].mod_revision == revision
            assert int(newest[f"a/{task}"].value) >= count
        for task in range(8):
            first, last = newest.get(f"a/{task}"), newest.get(f"b/{task}")
            assert (first and (first.value, first.mod_revision)) == (last and (last.value, last.mod_revision))
            written = int(first.value) if first else 0
            claims = [key for key in newest if key.startswith(f"claim/{task}/")]
            assert len(claims) == written
        await check_history(store)
    finally:
        await store.close()


async def check_history(store: SqliteStore) -> None:
    """What is left of the history is whole transactions without gaps."""
    last, start = await store.revision(), 1
    while True:
        try:
            async with store.watch("", from_revision=start) as changes:
                events = await events_until(changes, last)
            break
        except Compacted as compacted:
            start = compacted.compact_revision
    assert [event.kv.mod_revision for event in events] == [rev for rev in range(max(start, 2), last + 1) for _ in "abc"]


@pytest.mark.crash
async def test_a_killed_store_has_every_acknowledged_write_and_nothing_by_halves(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    rng = random.Random(7)
    acknowledged: list[tuple[int, int, int]] = []
    for _ in range(ROUNDS):
        acknowledged += await write_and_kill(path, rng.randint(1, 1500))
        await check(path, acknowledged)
    revisions = [revision for _, _, revision in acknowledged]
    assert len(set(revisions)) == len(revisions)
