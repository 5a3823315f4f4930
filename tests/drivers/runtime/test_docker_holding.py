# SPDX-License-Identifier: Apache-2.0
"""Containers on Docker that zun-cni plugs in: their network is there before their first process, and goes with them.

The engine is the machine's; the daemon and its bridges are in a namespace that stands for the machine's network.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support import docker_engine, web
from support.network_machine import UPLINK, Machine, machine, network_attachment
from zun.base.clock import SystemClock
from zun.base.ids import new_uuid
from zun.drivers.network.cni.client import DaemonClient
from zun.drivers.network.cni.networks import CniNetworks
from zun.drivers.runtime.docker.options import DockerOptions
from zun.drivers.runtime.docker.runtime import DockerRuntime
from zun.drivers.runtime.types import Channel, ContainerRequest, ExecRequest, LogQuery, SandboxRequest
from zun.model.attachments import PublishedPort, SandboxNetwork, sandbox_key
from zun.model.errors import Conflict, NotFound, Unavailable
from zun.model.records import SeenState

pytestmark = pytest.mark.network

SHOW = ["ip", "-o", "addr", "show", "scope", "global"]


class _ClientInside(DaemonClient):
    """Asks from the machine's namespace, where the daemon listens."""

    def __init__(self, made: Machine) -> None:
        super().__init__(made.state / "cni" / "endpoint", seconds=30)
        self._machine = made

    async def _ask(self, path: str, body: bytes) -> bytes:
        work = super()._ask
        return await asyncio.to_thread(self._machine.host.do, lambda: asyncio.run(work(path, body)))


class Site:
    """An engine with its plugger."""

    def __init__(self, made: Machine, networks: CniNetworks, runtime: DockerRuntime, owner: str) -> None:
        self.machine = made
        self.networks = networks
        self.runtime = runtime
        self.owner = owner
        self.containers = runtime.containers

    async def make(
        self,
        *command: str,
        prepared: bool = True,
        generation: int = 1,
        published: tuple[PublishedPort, ...] = (),
        **fields: object,
    ) -> str:
        """A container with an address of each version."""
        uuid = new_uuid()
        if prepared:
            key = sandbox_key(uuid, generation)
            attachment = network_attachment(7, 1, published=published)
            await self.networks.prepare(SandboxNetwork(key, (attachment,)))
        request = ContainerRequest(
            uuid=uuid,
            generation=generation,
            project_id="p",
            image="zun.local/busybox:latest",
            command=list(command),
            unplugged=True,
            addresses=("10.7.0.2", "fd00:7::2"),
            **fields,  # type: ignore[arg-type]
        )
        return await self.containers.create(request)

    async def request(self) -> SandboxRequest:
        """A capsule's sandbox that is prepared."""
        uuid = new_uuid()
        await self.networks.prepare(SandboxNetwork(sandbox_key(uuid, 1), (network_attachment(7, 1),)))
        addresses = ("10.7.0.2", "fd00:7::2")
        return SandboxRequest(
            uuid=uuid, generation=1, project_id="p", hostname="shop", unplugged=True, addresses=addresses
        )

    async def join(self, sandbox: str, capsule: str, *command: str) -> str:
        """A container in it."""
        request = ContainerRequest(
            uuid=new_uuid(),
            generation=1,
            project_id="p",
            image="zun.local/busybox:latest",
            command=list(command),
            sandbox=sandbox,
            capsule=capsule,
        )
        return await self.containers.create(request)

    async def ended(self, handle: str) -> str:
        """What it said, once it has ended."""
        async with asyncio.timeout(60):
            while (await self.containers.inspect(handle)).state is not SeenState.EXITED:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.05)
        said = b""
        async with self.runtime.streams.logs(handle, LogQuery()) as chunks:
            async for chunk in chunks:
                assert chunk.channel is Channel.STDOUT, chunk
                said += chunk.data
        return said.decode()

    def named(self) -> list[str]:
        """All containers of ours in the engine, holders too."""
        filters = f'{{"label": ["io.zun.owner={self.owner}"]}}'
        _, said = docker_engine.call("GET", "/containers/json", all="1", filters=filters)
        return sorted(one["Names"][0].strip("/") for one in json.loads(said))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, needs_root: None) -> Iterator[Machine]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine")
    with machine(tmp_path_factory.mktemp("machine"), "sync_seconds = 1") as made:
        yield made


@pytest.fixture
async def site(shared: Machine, tmp_path: Path) -> AsyncIterator[Site]:
    owner = f"test-{new_uuid()}"
    networks = CniNetworks(shared.state, _ClientInside(shared))
    runtime = await DockerRuntime.open(DockerOptions(), owner=owner, clock=SystemClock(), plugger=networks)
    yield Site(shared, networks, runtime, owner)
    await runtime.close()
    docker_engine.remove_owned(owner)
    for key in await networks.known():
        await networks.release(key)


async def test_the_network_is_there_before_the_first_process_and_no_shell_is_needed(site: Site) -> None:
    handle = await site.make(*SHOW)
    await site.containers.start(handle)
    said = await site.ended(handle)
    assert "10.7.0.2/24" in said
    assert "fd00:7::2/64" in said
    assert "docker" not in said


async def test_its_name_stands_for_its_address_and_its_ports_are_shown(site: Site) -> None:
    handle = await site.make("sh", "-c", "hostname; cat /etc/hosts", hostname="web", exposed_ports=["80", "53/udp"])
    await site.containers.start(handle)
    said = await site.ended(handle)
    assert said.splitlines()[0] == "web"
    assert "10.7.0.2\tweb" in said
    assert (await site.containers.inspect(handle)).ports == (53, 80)


async def test_a_published_port_leads_to_it_also_after_a_restart(site: Site) -> None:
    handle = await site.make(*web.SERVES, published=(PublishedPort(host_port=8080, port=80),))

    async def served() -> None:
        asked = ["busybox", "wget", "-qO-", f"http://{UPLINK}:8080/index.html"]
        async with asyncio.timeout(60):
            while await asyncio.to_thread(site.machine.outside.told, *asked) != "hello\n":  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.05)

    for _ in range(2):
        await site.containers.start(handle)
        await served()
        await site.containers.stop(handle, 0)


async def test_a_restart_finds_the_network_as_it_was(site: Site) -> None:
    handle = await site.make("sh", "-c", "cat /sys/class/net/eth0/ifindex /sys/class/net/eth0/address")
    await site.containers.start(handle)
    first = await site.ended(handle)
    await site.containers.start(handle)
    assert (await site.ended(handle)) == 2 * first


async def test_what_holds_the_network_is_made_anew_when_somebody_removed_it(site: Site) -> None:
    handle = await site.make(*SHOW)
    await site.containers.start(handle)
    await site.ended(handle)
    (holder,) = [name for name in site.named() if name.endswith("-net")]
    docker_engine.call("DELETE", f"/containers/{holder}", force="1")
    await site.containers.start(handle)
    assert (await site.ended(handle)).count("10.7.0.2/24") == 2


async def test_a_container_that_runs_keeps_its_network_when_somebody_ends_its_holder(site: Site) -> None:
    handle = await site.make(
        "sh", "-c", "until ip route get 10.7.0.1 && [ -e /go ]; do sleep 0.1; done >/dev/null 2>&1; ip -o addr"
    )
    await site.containers.start(handle)
    (holder,) = [name for name in site.named() if name.endswith("-net")]
    docker_engine.call("DELETE", f"/containers/{holder}", force="1")
    await site.containers.list()
    await asyncio.sleep(2)  # longer than the daemon's look at what has ended
    await site.containers.list()
    exec_id = await site.runtime.streams.exec_create(handle, ExecRequest(["touch", "/go"]))
    async with site.runtime.streams.exec_start(exec_id) as session:
        assert await session.read() is None
    assert "10.7.0.2/24" in await site.ended(handle)


async def test_nothing_is_left_of_a_container_that_is_removed_and_holders_are_nobodys_containers(site: Site) -> None:
    handle = await site.make("sleep", "1000")
    await site.containers.start(handle)
    assert len(site.named()) == 2
    assert [seen.handle for seen in await site.containers.list()] == [handle]
    await site.containers.remove(handle)
    assert site.named() == []


async def test_a_holder_whose_container_somebody_else_removed_goes_at_the_next_look(site: Site) -> None:
    handle = await site.make("sleep", "1000")
    await site.containers.start(handle)
    docker_engine.call("DELETE", f"/containers/{handle}", force="1")
    assert len(site.named()) == 1
    assert await site.containers.list() == []
    assert site.named() == []


async def test_another_life_of_the_driver_starts_and_removes_what_an_earlier_one_made(site: Site) -> None:
    handle = await site.make(*SHOW)
    later = await DockerRuntime.open(DockerOptions(), owner=site.owner, clock=SystemClock(), plugger=site.networks)
    try:
        await later.containers.start(handle)
        assert "10.7.0.2/24" in await site.ended(handle)
        await later.containers.remove(handle)
    finally:
        await later.close()
    assert site.named() == []


async def test_a_container_that_nobody_prepared_is_not_started(site: Site) -> None:
    handle = await site.make("sleep", "1000", prepared=False)
    with pytest.raises(NotFound):
        await site.containers.start(handle)
    assert (await site.containers.inspect(handle)).state is SeenState.CREATED


async def test_neighbours_reach_each_other_and_the_engines_containers_none(site: Site) -> None:
    server = await site.make("sh", "-c", "while :; do echo hello | nc -l -p 80; done")
    await site.containers.start(server)
    uuid = new_uuid()
    key = sandbox_key(uuid, 1)
    await site.networks.prepare(SandboxNetwork(key, (network_attachment(7, 2),)))
    request = ContainerRequest(
        uuid=uuid,
        generation=1,
        project_id="p",
        image="zun.local/busybox:latest",
        command=["sh", "-c", "until nc -w 2 10.7.0.2 80; do sleep 0.2; done"],
        unplugged=True,
    )
    client = await site.containers.create(request)
    await site.containers.start(client)
    assert "hello" in await site.ended(client)


class _Away:
    """A daemon that does not answer."""

    async def plug(self, key: str, container_id: str, netns: str) -> None:
        del container_id, netns
        raise Unavailable(f"Nobody plugs {key} in now.")


async def test_containers_of_a_capsule_find_the_network_that_its_sandbox_was_plugged_into(site: Site) -> None:
    request = await site.request()
    sandbox = await site.runtime.pods.create_sandbox(request)
    assert await site.runtime.pods.create_sandbox(request) == sandbox
    handle = await site.join(sandbox, request.uuid, "sh", "-c", "ip -o addr; hostname; cat /etc/hosts")
    await site.containers.start(handle)
    said = await site.ended(handle)
    assert "10.7.0.2/24" in said
    assert "fd00:7::2/64" in said
    assert "10.7.0.2\tshop" in said
    assert (await site.runtime.pods.inspect_sandbox(sandbox)).addresses == ()
    await site.runtime.pods.remove_sandbox(sandbox)
    assert site.named() == []


async def test_a_sandbox_whose_maker_died_before_it_plugged_it_in_is_plugged_in_before_a_container_starts(
    site: Site,
) -> None:
    request = await site.request()
    dying = await DockerRuntime.open(DockerOptions(), owner=site.owner, clock=SystemClock(), plugger=_Away())
    try:
        with pytest.raises(Unavailable):
            await dying.pods.create_sandbox(request)
    finally:
        await dying.close()
    (found,) = await site.runtime.pods.list_sandboxes()
    assert found.ready
    handle = await site.join(found.handle, request.uuid, *SHOW)
    await site.containers.start(handle)
    assert "10.7.0.2/24" in await site.ended(handle)


async def test_no_container_is_started_in_a_sandbox_that_cannot_be_plugged_in(site: Site) -> None:
    request = await site.request()
    sandbox = await site.runtime.pods.create_sandbox(request)
    handle = await site.join(sandbox, request.uuid, "sleep", "1000")
    await site.networks.release(sandbox_key(request.uuid, 1))
    with pytest.raises(Conflict):
        await site.containers.start(handle)
    assert (await site.containers.inspect(handle)).state is SeenState.CREATED
