# SPDX-License-Identifier: Apache-2.0
"""The fake goes wrong when it is told to, and only then."""

import asyncio
from pathlib import Path

import pytest

from support.fake_runtime import FakeHarness
from zun.drivers.runtime.contract_harness import STUBBORN, WAITS, ended, make, run
from zun.drivers.runtime.fake import FakeRuntime
from zun.drivers.runtime.types import RuntimeEventKind
from zun.model.errors import NotFound, Timeout, Unavailable
from zun.model.records import SeenState


@pytest.fixture
def harness(tmp_path: Path) -> FakeHarness:
    return FakeHarness(tmp_path)


def fake(harness: FakeHarness) -> FakeRuntime:
    assert isinstance(harness.runtime, FakeRuntime)
    return harness.runtime


async def test_a_verb_fails_as_often_as_it_was_told_to(harness: FakeHarness) -> None:
    fake(harness).fail("start", Unavailable("busy"), times=2, skip=1)
    first, second = await run(harness), await make(harness, WAITS)
    for _ in range(2):
        with pytest.raises(Unavailable, match="busy"):
            await harness.runtime.containers.start(second)
    await harness.runtime.containers.start(second)
    assert (await harness.runtime.containers.inspect(first)).state is SeenState.RUNNING


async def test_an_answer_can_be_lost_after_the_deed_was_done(harness: FakeHarness) -> None:
    fake(harness).fail("create", Timeout("lost"), after=True)
    with pytest.raises(Timeout):
        await make(harness, WAITS)
    assert len(await harness.runtime.containers.list()) == 1


async def test_a_verb_hangs_until_it_is_let_go(harness: FakeHarness) -> None:
    handle = await make(harness, WAITS)
    release = harness.engine.faults.hang("start")
    starting = asyncio.create_task(harness.runtime.containers.start(handle))
    await asyncio.sleep(0)
    assert not starting.done()
    release.set()
    await starting
    assert (await harness.runtime.containers.inspect(handle)).state is SeenState.RUNNING


async def test_a_delay_takes_the_clocks_time(harness: FakeHarness) -> None:
    harness.engine.faults.delay("create", 2.0)
    begun = harness.clock.now()
    await harness.during(make(harness, WAITS))
    assert harness.clock.now() - begun >= 2.0


async def test_a_process_ends_by_itself_when_its_time_has_come(harness: FakeHarness) -> None:
    handle = await run(harness, ["sh", "-c", "sleep 5; exit 3"])
    await asyncio.sleep(0)
    harness.clock.advance(4.9)
    await asyncio.sleep(0)
    assert (await harness.runtime.containers.inspect(handle)).state is SeenState.RUNNING
    assert (await ended(harness, handle)).exit_code == 3


async def test_what_vanishes_is_gone_without_an_event(harness: FakeHarness) -> None:
    handle = await run(harness)
    async with harness.runtime.containers.events() as events:
        fake(harness).vanish(handle)
        with pytest.raises(NotFound):
            await harness.runtime.containers.inspect(handle)
        other = await run(harness)
        assert (await anext(events)).handle == other


async def test_running_out_of_memory_shows_as_such(harness: FakeHarness) -> None:
    handle = await run(harness)
    async with harness.runtime.containers.events() as events:
        harness.engine.run_out_of_memory(handle)
        assert [(await anext(events)).kind for _ in range(2)] == [RuntimeEventKind.OOM, RuntimeEventKind.EXITED]
    seen = await harness.runtime.containers.inspect(handle)
    assert (seen.oom_killed, seen.exit_code) == (True, 137)


async def test_while_the_engine_is_away_nothing_answers_and_streams_break(harness: FakeHarness) -> None:
    handle = await run(harness)
    async with harness.runtime.containers.events() as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        harness.engine.go_away()
        with pytest.raises(Unavailable):
            await waiting
    with pytest.raises(Unavailable):
        await harness.runtime.containers.inspect(handle)
    with pytest.raises(Unavailable):
        await harness.runtime.images.find(harness.image)
    harness.engine.come_back()
    assert (await harness.runtime.containers.inspect(handle)).state is SeenState.RUNNING


async def test_calls_are_counted(harness: FakeHarness) -> None:
    await run(harness)
    await run(harness)
    assert harness.engine.faults.calls["start"] == 2


async def test_a_stop_returns_as_soon_as_the_process_has_ended(harness: FakeHarness) -> None:
    handle = await run(harness, STUBBORN)
    stopping = asyncio.create_task(harness.runtime.containers.stop(handle, 30))
    await asyncio.sleep(0)
    assert not stopping.done()
    harness.engine.end(handle, 5)
    await stopping
    assert (await harness.runtime.containers.inspect(handle)).exit_code == 5
