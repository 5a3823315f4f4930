# SPDX-License-Identifier: Apache-2.0
"""What only a real Docker engine can show, beyond the contract."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.ports import free_port
from support import docker_engine, web
from support.docker_runtime import DockerGround, DockerHarness
from support.registry import Registry
from support.stream_checks import StreamsOfRealEngines
from zun.base.ids import new_uuid
from zun.drivers.runtime.contract_harness import STUBBORN, ended, execute, log_of, make, output_of, run, said
from zun.drivers.runtime.types import Channel, LogQuery, RuntimeEventKind, SandboxRequest
from zun.model.attachments import PublishedPort
from zun.model.errors import Conflict

pytestmark = pytest.mark.docker
NOTHING = DockerGround(Registry("", ""), "", "", "")


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[DockerHarness]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine: run scripts/ensure-docker and scripts/build-image")
    harness = await DockerHarness.open(NOTHING, tmp_path)
    yield harness
    await harness.close()


class TestStreams(StreamsOfRealEngines):
    """With the fixture above."""


async def test_too_much_memory_ends_it_and_is_told(harness: DockerHarness) -> None:
    containers = harness.runtime.containers
    async with containers.events() as events:
        handle = await run(harness, ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"], memory_mib=16)
        kinds: set[RuntimeEventKind] = set()
        async for event in events:  # the engine now and then keeps the first of the two to itself
            kinds.add(event.kind)
            if kinds & {RuntimeEventKind.OOM, RuntimeEventKind.EXITED}:
                break
    await ended(harness, handle)
    seen = await containers.inspect(handle)
    assert seen.exit_code == 137
    assert seen.oom_killed or RuntimeEventKind.OOM not in kinds


@pytest.mark.parametrize("tty", [False, True])
async def test_a_burst_is_followed_to_its_last_line(harness: DockerHarness, tty: bool) -> None:
    handle = await run(harness, ["seq", "0", "199999"], tty=tty)
    told = (await log_of(harness, handle, LogQuery(follow=True)))[Channel.STDOUT]
    assert told.replace(b"\r", b"").split() == [str(number).encode() for number in range(200_000)]


async def test_a_followed_tail_begins_where_it_should_and_ends_whole(harness: DockerHarness) -> None:
    handle = await run(harness, ["sh", "-c", "seq 1 100; seq 101 90000 >&2"])
    told = await log_of(harness, handle, LogQuery(follow=True, tail=5, timestamps=True))
    numbers = [int(line.split()[1]) for line in (told[Channel.STDOUT] + told[Channel.STDERR]).splitlines()]
    assert numbers == list(range(numbers[0], 90_001))


async def test_megabytes_without_a_line_break_come_through_whole(harness: DockerHarness) -> None:
    script = "head -c 3000000 /dev/urandom > /tmp/data; cat /tmp/data"
    handle = await run(harness, ["sh", "-c", script + "; sleep 1000000"])
    chunks: list[bytes] = []
    size = 0
    async with harness.runtime.streams.logs(handle, LogQuery(follow=True)) as log:
        async for chunk in log:
            chunks.append(chunk.data)
            size += len(chunk.data)
            if size >= 3_000_000 - 16384:  # the last part of a line waits for its end
                break
    inside, _, code = await execute(harness, handle, ["cat", "/tmp/data"])
    assert code == 0
    assert len(inside) == 3_000_000
    assert inside.startswith(b"".join(chunks))


async def test_an_attached_session_ends_with_the_container_and_tells_its_code(harness: DockerHarness) -> None:
    handle = await run(harness, ["sh"], interactive=True, tty=True)
    async with harness.runtime.streams.attach(handle) as session:
        await session.write(b"echo $((6*7)); exit 9\n")
        assert b"42" in (await output_of(session))[Channel.STDOUT]
        assert await session.exit_code() == 9


async def test_a_committed_image_does_not_carry_our_marks(harness: DockerHarness) -> None:
    handle = await run(harness, labels={"tier": "web"})
    repository = f"zun.test/{new_uuid()}"
    image = await harness.runtime.images.commit(handle, repository, "1")
    try:
        labels = json.loads(docker_engine.call("GET", f"/images/{image.id}/json")[1])["Config"]["Labels"]
        assert {name: value for name, value in labels.items() if value} == {"tier": "web"}
    finally:
        docker_engine.call("DELETE", f"/images/{repository}:1")


async def test_many_followers_leave_the_engine_reachable(harness: DockerHarness) -> None:
    handle = await run(harness, STUBBORN)
    await said(harness, handle, b"ready")
    release = asyncio.Event()

    async def follow() -> None:
        async with harness.runtime.streams.logs(handle, LogQuery(follow=True)) as log:
            await anext(log)
            await release.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(120):
            group.create_task(follow())
        assert (await log_of(harness, handle))[Channel.STDOUT] == b"ready\n"
        release.set()


async def served(harness: DockerHarness, port: int) -> None:
    """Wait until the page is there."""

    async def is_so() -> bool:
        return await asyncio.to_thread(web.page, port) == b"hello\n"

    await harness.until(is_so)


async def test_a_published_port_leads_to_the_container_while_it_runs(harness: DockerHarness) -> None:
    port = PublishedPort(host_port=free_port(), port=80, host_address="127.0.0.1")
    handle = await run(harness, web.SERVES, published=(port,), exposed_ports=["80/tcp"])
    await served(harness, port.host_port)
    assert (await harness.runtime.containers.inspect(handle)).ports == (80,)
    await harness.runtime.containers.stop(handle, 0)
    assert await asyncio.to_thread(web.page, port.host_port) is None
    await harness.runtime.containers.start(handle)
    await served(harness, port.host_port)


async def test_a_port_at_which_something_listens_is_a_conflict(harness: DockerHarness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = PublishedPort(host_port=listening.getsockname()[1], port=80, host_address="127.0.0.1")
        handle = await make(harness, web.SERVES, published=(port,), exposed_ports=["80/tcp"])
        with pytest.raises(Conflict, match="publish another port"):
            await harness.runtime.containers.start(handle)
    await harness.runtime.containers.start(handle)
    await served(harness, port.host_port)


async def test_a_port_of_a_capsule_leads_to_its_containers(harness: DockerHarness) -> None:
    port = PublishedPort(host_port=free_port(), port=80, host_address="127.0.0.1")
    pods = harness.runtime.pods
    assert pods is not None
    request = SandboxRequest(uuid=new_uuid(), generation=1, project_id="p", published=(port,), exposed_ports=["80/tcp"])
    sandbox = await pods.create_sandbox(request)
    await run(harness, web.SERVES, sandbox=sandbox, capsule=request.uuid)
    await served(harness, port.host_port)
