# SPDX-License-Identifier: Apache-2.0
"""A node takes its store for another one only when it is."""

import asyncio
from pathlib import Path
from typing import cast

from support.virtual_time import at_once
from zun.agent.known_store import KnownStore
from zun.store.nodelink import NodeLink, StoreMark


class SlowLink:
    """Its answers are on their way for as long as a test wants."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[StoreMark] = asyncio.get_running_loop().create_future()

    async def store(self) -> StoreMark:
        """As the port says."""
        self.asked.set()
        return await self.answer


async def a_known_store(path: Path) -> tuple[KnownStore, SlowLink]:
    """One that has met its store at revision 5, and whose next answer is open."""
    link = SlowLink()
    known = KnownStore(path, cast("NodeLink", link), run_blocking=at_once)
    link.answer.set_result(StoreMark("s", 5))
    await known.meet()
    link.asked.clear()
    link.answer = asyncio.get_running_loop().create_future()
    return known, link


async def test_what_is_heard_while_the_store_answers_does_not_make_it_another_one(tmp_path: Path) -> None:
    known, link = await a_known_store(tmp_path)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        confirming = tasks.create_task(known.confirm())
        await link.asked.wait()
        await known.heard_of(7)
        link.answer.set_result(StoreMark("s", 6))
        await confirming


async def test_a_store_that_has_not_come_as_far_as_was_heard_before_is_another_one(tmp_path: Path) -> None:
    known, link = await a_known_store(tmp_path)
    await known.heard_of(7)
    link.answer.set_result(StoreMark("s", 6))
    confirming = asyncio.ensure_future(known.confirm())
    try:
        done, _ = await asyncio.wait(
            {asyncio.ensure_future(known.run()), confirming}, timeout=60, return_when=asyncio.FIRST_COMPLETED
        )
        [ended] = done
        assert "backup was restored" in str(ended.exception())
    finally:
        confirming.cancel()
