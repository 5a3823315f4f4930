# SPDX-License-Identifier: Apache-2.0
"""A process is listed for as long as it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from zun.base.clock import ManualClock
from zun.model.errors import Unavailable
from zun.model.process import ProcessRecord
from zun.services.processes import TTL_SECONDS, Announcement, processes
from zun.store.interface import Compare, Op, TxnResult
from zun.store.memory import MemoryStore


class Flaky(MemoryStore):
    """A store that can be away; counts what was written."""

    away = False
    written = 0

    async def transact(self, compares: list[Compare], success: list[Op], failure: tuple[Op, ...] = ()) -> TxnResult:  # type: ignore[override]
        if self.away:
            raise Unavailable("The store is away; try again.")
        self.written += 1
        return await super().transact(compares, success, failure)


class Stage:
    """A process that announces itself as `record`."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = Flaky(self.clock)
        self.record = ProcessRecord(role="api", identity="here:1", version="0.2.0", started_at=1.0)

    async def describe(self) -> ProcessRecord:
        return self.record

    async def after(self, seconds: float) -> list[ProcessRecord]:
        """Who is listed then."""
        left = seconds
        while left > 0:
            self.clock.advance(min(left, 5.0))
            left -= 5.0
            await _settle()
        return await processes(self.store)


async def _settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def staged() -> AsyncIterator[tuple[Stage, asyncio.Task[None]]]:
    stage = Stage()
    task: asyncio.Task[None] = asyncio.create_task(Announcement(stage.store, stage.clock, stage.describe).run())
    await _settle()
    try:
        yield stage, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stage.store.close()


async def test_a_process_is_listed_while_it_runs_and_not_after_it_was_stopped() -> None:
    async with staged() as (stage, task):
        assert await processes(stage.store) == [stage.record]
        assert await stage.after(10 * TTL_SECONDS) == [stage.record]
        assert stage.store.written == 1
        task.cancel()
        await _settle()
        assert await processes(stage.store) == []


async def test_what_changes_of_it_is_told() -> None:
    async with staged() as (stage, _):
        stage.record = msgspec.structs.replace(stage.record, certificates={"/z/control.pem": 5.0})
        assert await stage.after(60) == [stage.record]


async def test_it_is_listed_again_after_the_store_was_away_for_longer_than_its_lease() -> None:
    async with staged() as (stage, _):
        lease = (await stage.store.range("/zun/v/proc/")).items[0].lease
        await stage.store.revoke(lease)
        stage.store.away = True
        assert await stage.after(100) == []
        stage.store.away = False
        assert await stage.after(60) == [stage.record]
