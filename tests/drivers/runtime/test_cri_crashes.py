# SPDX-License-Identifier: Apache-2.0
"""containerd is killed (-9) in the middle of everything: what ran runs on, what was begun can be done again, nothing is left behind."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.containerd_engine import Containerd, containerd
from support.cri_runtime import CriGround, CriHarness
from support.registry import Registry
from zun.base.ids import new_uuid
from zun.drivers.runtime.contract_harness import ended, execute, log_of, make, run, said
from zun.drivers.runtime.types import Channel, ContainerRequest, ExecRequest, LogQuery, RuntimeEventKind
from zun.model.errors import Conflict, NotFound, Timeout, Unavailable, ZunError
from zun.model.records import SeenState

pytestmark = pytest.mark.containerd


@pytest.fixture(scope="module")
def fragile() -> Iterator[Containerd]:
    """One that nobody else uses."""
    with containerd() as running:
        yield running


@pytest.fixture
async def cri(fragile: Containerd, tmp_path: Path) -> AsyncIterator[CriHarness]:
    ground = CriGround(fragile, Registry("", ""), "")
    harness = await CriHarness.open(ground, tmp_path, upkeep_seconds=0.5, call_seconds=6)
    yield harness
    await harness.close()


async def crash(cri: CriHarness) -> None:
    await asyncio.to_thread(cri.ground.engine.kill)


async def come_back(cri: CriHarness) -> None:
    await asyncio.to_thread(cri.ground.engine.start)

    async def answers() -> bool:
        try:
            await cri.runtime.containers.list()
        except (Unavailable, Timeout):
            return False
        return True

    await cri.until(answers)


async def insist(work: Any) -> Any:
    """Do it until the engine is there to do it, as the agent does. `work` makes the call."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await work()
            except (Unavailable, Timeout):
                await asyncio.sleep(0.1)


async def test_what_runs_runs_on_and_its_log_has_no_gap(cri: CriHarness) -> None:
    handle = await run(cri, ["sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"])
    await said(cri, handle, b"5\n")
    before = await cri.runtime.containers.inspect(handle)
    await crash(cri)
    with pytest.raises(Unavailable):
        await cri.runtime.containers.inspect(handle)
    await asyncio.sleep(0.3)
    await come_back(cri)
    after = await cri.runtime.containers.inspect(handle)
    assert (after.state, after.started_at) == (SeenState.RUNNING, before.started_at)
    assert (await execute(cri, handle, ["echo", "inside"]))[0] == b"inside\n"
    count = len((await log_of(cri, handle))[Channel.STDOUT].split())
    await said(cri, handle, b"\n%d\n" % (count + 5))
    told = (await log_of(cri, handle))[Channel.STDOUT].split()
    assert told == [b"%d" % number for number in range(len(told))]


async def test_an_end_that_nobody_saw_is_known_afterwards(cri: CriHarness) -> None:
    handle = await run(cri, ["sh", "-c", "until [ -e /tmp/end ]; do sleep 0.02; done; exit 9"])
    await execute(cri, handle, ["sh", "-c", "(sleep 0.5; touch /tmp/end) >/dev/null 2>&1 &"])
    await crash(cri)
    await asyncio.sleep(1)
    await come_back(cri)
    assert (await ended(cri, handle)).exit_code == 9
    await cri.runtime.containers.start(handle)
    assert (await ended(cri, handle)).exit_code == 9


async def test_streams_break_instead_of_hanging(cri: CriHarness) -> None:
    handle = await run(cri, ["cat"], interactive=True)
    exec_id = await cri.runtime.streams.exec_create(handle, ExecRequest(["cat"], stdin=True))
    containers, streams = cri.runtime.containers, cri.runtime.streams
    async with (
        asyncio.timeout(60),
        containers.events() as events,
        streams.attach(handle) as attached,
        streams.logs(handle, LogQuery(follow=True)) as log,
    ):
        await crash(cri)
        with pytest.raises(Unavailable):
            await anext(events)
        assert await attached.read() is None
        with pytest.raises(Unavailable):
            await anext(log)
        with pytest.raises((Unavailable, Conflict)):
            async with streams.exec_start(exec_id) as session:
                await session.read()
    await come_back(cri)


async def test_a_command_goes_on_while_the_engine_is_away(cri: CriHarness) -> None:
    """Its pipes lead to its shim, not to containerd."""
    handle = await run(cri)
    exec_id = await cri.runtime.streams.exec_create(handle, ExecRequest(["cat"], stdin=True))
    async with asyncio.timeout(60), cri.runtime.streams.exec_start(exec_id) as session:
        await crash(cri)
        await session.write(b"still there\n")
        told = await session.read()
        assert told is not None
        assert told.data == b"still there\n"
    await come_back(cri)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_cut_off_can_be_done_again_and_leaves_nothing(cri: CriHarness, seed: int) -> None:
    dice = random.Random(seed)
    running = [await run(cri) for _ in range(2)]
    uuids = [new_uuid() for _ in range(4)]

    def request(uuid: str) -> ContainerRequest:
        return ContainerRequest(uuid=uuid, generation=1, project_id="p", image=cri.image, command=["sleep", "1000"])

    containers = cri.runtime.containers
    work = [asyncio.create_task(_quiet(containers.create(request(uuid)))) for uuid in uuids]
    work.append(asyncio.create_task(_quiet(containers.stop(running[0], 1))))
    work.append(asyncio.create_task(_quiet(containers.remove(running[1]))))
    await asyncio.sleep(dice.uniform(0, 0.5))
    await crash(cri)
    await asyncio.gather(*work)
    await come_back(cri)
    for uuid in uuids:
        handle = await insist(lambda uuid=uuid: containers.create(request(uuid)))
        await insist(lambda handle=handle: containers.start(handle))
        assert (await containers.inspect(handle)).state is SeenState.RUNNING
    listed = {seen.handle for seen in await containers.list()}
    assert {f"{uuid}.1" for uuid in uuids} <= listed
    for handle in {*listed, *running}:
        await insist(lambda handle=handle: containers.remove(handle))
    assert await containers.list() == []
    await cri.until(lambda: _is_clean(cri.ground.engine))


@pytest.mark.parametrize("moment", [0.0, 0.03, 0.08])
async def test_a_start_that_is_cut_off_keeps_the_files(cri: CriHarness, moment: float) -> None:
    handle = await run(cri, ["sh", "-c", "echo x >> /srv/runs; echo written; exec sleep 1000"])
    await said(cri, handle, b"written")
    await cri.runtime.containers.stop(handle, 0)
    starting = asyncio.create_task(_quiet(cri.runtime.containers.start(handle)))
    await asyncio.sleep(moment)
    await crash(cri)
    await starting
    await come_back(cri)
    assert [seen.handle for seen in await cri.runtime.containers.list()] == [handle]
    await insist(lambda: cri.runtime.containers.start(handle))

    async def has_run() -> bool:
        return (await execute(cri, handle, ["cat", "/srv/runs"]))[0] in {b"x\nx\n", b"x\nx\nx\n"}

    await cri.until(has_run)
    await insist(lambda: cri.runtime.containers.remove(handle))
    await cri.until(lambda: _is_clean(cri.ground.engine))


async def test_a_snapshot_that_containerd_forgot_is_in_nobodys_way(cri: CriHarness) -> None:
    """It dies between making a directory and writing its number down, and would give the number away again for ever."""
    await make(cri)
    snapshots = cri.ground.engine.directory / "root/data/io.containerd.snapshotter.v1.overlayfs/snapshots"
    newest = max(int(path.name) for path in snapshots.iterdir() if path.name.isdecimal())
    for number in range(newest + 1, newest + 4):
        (snapshots / str(number) / "fs").mkdir(parents=True)
    await run(cri)


async def test_removals_are_told_after_a_crash_too(cri: CriHarness) -> None:
    handle = await make(cri, ["sleep", "1000"])
    await crash(cri)
    await come_back(cri)
    async with cri.runtime.containers.events() as events:
        await cri.runtime.containers.remove(handle)
        async for event in events:
            if event.kind is RuntimeEventKind.REMOVED:
                assert event.handle == handle
                break


async def _quiet(work: Any) -> None:
    try:
        await work
    except (Unavailable, Timeout, NotFound, Conflict):
        return
    except ZunError as error:
        raise AssertionError(f"{type(error).__name__} is no answer of an engine that went away: {error}") from error


async def _is_clean(engine: Containerd) -> bool:
    """containerd itself keeps a snapshot of a creation that was cut off for a day, under a lease; so leases are ended first."""
    await asyncio.to_thread(engine.let_go_of_leases)
    return not any((await asyncio.to_thread(engine.leftovers)).values())
