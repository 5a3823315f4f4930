# SPDX-License-Identifier: Apache-2.0
"""What was written down is there after a crash, whatever the crash did to the file."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_records import C1, uuid_of

from support.virtual_time import at_once
from zun.agent.journal import REWRITE_BYTES, Journal, open_journal, read_journal
from zun.agent.memory import fresh
from zun.model.errors import Unavailable


async def two_containers(path: Path) -> Journal:
    journal, found = open_journal(path, at_once)
    assert found == {}
    for uuid in (C1, uuid_of(2)):
        await journal.commit(fresh(uuid, 1))
    return journal


async def test_the_last_word_about_a_container_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = await two_containers(path)
    later = fresh(C1, 3)
    later.user_stopped = True
    await journal.commit(later)
    journal.forget(uuid_of(2))
    await journal.flush()
    assert read_journal(path) == {C1: later}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", [2, 5, 20])
async def test_a_torn_end_is_as_if_it_had_not_been_written(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "journal"
    await two_containers(path)
    path.write_bytes(path.read_bytes()[:-torn])
    assert set(read_journal(path)) == {C1}
    journal, found = open_journal(path, at_once)
    assert set(found) == {C1}
    await journal.commit(fresh(uuid_of(3), 1))
    assert set(read_journal(path)) == {C1, uuid_of(3)}


async def test_a_damaged_line_harms_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    await two_containers(path)
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    assert set(read_journal(path)) == {uuid_of(2)}


async def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = await two_containers(path)
    memory = fresh(C1, 1)
    memory.observation.reason = "x" * 10_000
    for number in range(300):
        memory.heals = number
        await journal.commit(memory)
    assert path.stat().st_size < REWRITE_BYTES + 100_000
    found = read_journal(path)
    assert found[C1].heals == 299
    assert uuid_of(2) in found


async def test_those_who_commit_together_share_a_sync(tmp_path: Path) -> None:
    syncs = 0

    async def counted(work: Callable[[], None]) -> None:
        nonlocal syncs
        syncs += 1
        await asyncio.sleep(0.01)
        work()

    journal, _ = open_journal(tmp_path / "journal", counted)
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(journal.commit(fresh(uuid_of(number), 1)))
    assert len(read_journal(tmp_path / "journal")) == 50
    assert syncs <= 2


async def test_a_disk_that_does_not_take_it_is_said_and_nothing_is_lost_when_it_does_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = await two_containers(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(Unavailable, match="journal"):
        await journal.commit(fresh(uuid_of(3), 1))
    path.rmdir()
    await journal.commit(fresh(uuid_of(4), 1))
    assert set(read_journal(path)) == {C1, uuid_of(2), uuid_of(3), uuid_of(4)}
