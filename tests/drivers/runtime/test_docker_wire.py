# SPDX-License-Identifier: Apache-2.0
"""What the Docker runtime does when the engine is slow, silent, gone or strange."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.scripted_engine import HANG, ScriptedEngine, broken, failed, ok, scripted_engine
from zun.base.clock import SystemClock
from zun.drivers.runtime.docker.options import DockerOptions
from zun.drivers.runtime.docker.runtime import DockerRuntime
from zun.drivers.runtime.types import ContainerRequest, NetworkRequest
from zun.model.errors import Conflict, Invalid, NotFound, Timeout, Unavailable

REQUEST = ContainerRequest(uuid="u", generation=1, project_id="p", image="busybox")
LABELS = {"io.zun.owner": "me", "io.zun.uuid": "u", "io.zun.generation": "1"}
SHOWN = {
    "Id": "h",
    "Created": "2026-01-02T03:04:05Z",
    "Image": "sha256:x",
    "State": {"Status": "created", "ExitCode": 0},
    "Config": {"Labels": LABELS},
    "NetworkSettings": {"Networks": {"blue": {}}},
}
NETWORKS = [
    {"Id": "1", "Name": "blue", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "10.9.0.0/24"}]}},
    {"Id": "2", "Name": "red", "Driver": "macvlan", "IPAM": {"Config": []}},
    {"Id": "3", "Name": "host", "Driver": "host"},
    {"Id": "4", "Name": "none", "Driver": "null"},
]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[ScriptedEngine]:
    async with scripted_engine(tmp_path) as served:
        served.answers["POST containers/create"] = ok({"Id": "h"}, 201)
        served.answers["GET networks"] = ok(NETWORKS)
        yield served


@pytest.fixture
async def runtime(engine: ScriptedEngine) -> AsyncIterator[DockerRuntime]:
    options = DockerOptions(url=engine.url, call_seconds=0.3, connect_seconds=0.3, idle_seconds=0.3)
    opened = await DockerRuntime.open(options, owner="me", clock=SystemClock())
    engine.asked.clear()
    yield opened
    await opened.close()


async def test_no_engine_is_unavailable_and_says_how_to_start_one(tmp_path: Path) -> None:
    options = DockerOptions(url=f"unix://{tmp_path}/absent.sock")
    with pytest.raises(Unavailable, match="systemctl start docker"):
        await DockerRuntime.open(options, owner="me", clock=SystemClock())


async def test_an_engine_that_says_nothing_is_given_up(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    engine.answers["GET containers/h/json"] = ok(SHOWN)
    engine.answers["POST containers/h/start"] = HANG
    with pytest.raises(Timeout, match="start the container"):
        await runtime.containers.start("h")


async def test_create_and_start_are_one_round_trip_each_on_one_connection(
    engine: ScriptedEngine, runtime: DockerRuntime
) -> None:
    before = engine.connections
    handle = await runtime.containers.create(REQUEST)
    engine.answers["POST containers/h/start"] = b"HTTP/1.1 204 No Content\r\n\r\n"
    await runtime.containers.start(handle)
    assert engine.asked == ["POST containers/create", "POST containers/h/start"]
    assert engine.connections == before


async def test_a_known_network_costs_no_round_trip(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    await runtime.networks.list()
    engine.asked.clear()
    wished = ContainerRequest(
        uuid="u", generation=1, project_id="p", image="busybox", networks=(NetworkRequest("blue", v4="10.9.0.7"),)
    )
    await runtime.containers.create(wished)
    assert engine.asked == ["POST containers/create"]


async def test_the_hosts_network_is_not_listed_and_addresses_need_a_subnet(
    engine: ScriptedEngine, runtime: DockerRuntime
) -> None:
    assert {one.name: one.fixed_addresses for one in await runtime.networks.list()} == {"blue": True, "red": False}


async def test_a_taken_name_is_ours_or_a_conflict(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    engine.answers["POST containers/create"] = failed(409, 'Conflict. The container name "/zun-u" is already in use')
    engine.answers["GET containers/zun-u/json"] = ok(SHOWN)
    assert await runtime.containers.create(REQUEST) == "h"
    for other in ({"io.zun.owner": "you"}, {"io.zun.generation": "2"}, {"io.zun.uuid": ""}):
        engine.answers["GET containers/zun-u/json"] = ok(SHOWN | {"Config": {"Labels": LABELS | other}})
        with pytest.raises(Conflict):
            await runtime.containers.create(REQUEST)
    engine.answers["GET containers/zun-u/json"] = failed(404, "No such container: zun-u")
    with pytest.raises(Unavailable):
        await runtime.containers.create(REQUEST)


async def test_an_adopted_container_gets_the_networks_it_still_lacks(
    engine: ScriptedEngine, runtime: DockerRuntime
) -> None:
    engine.answers["POST containers/create"] = failed(409, "name is already in use")
    engine.answers["GET containers/zun-u/json"] = ok(SHOWN)
    engine.answers["POST networks/red/connect"] = ok(None)
    wished = ContainerRequest(
        uuid="u", generation=1, project_id="p", image="x", networks=(NetworkRequest("blue"), NetworkRequest("red"))
    )
    assert await runtime.containers.create(wished) == "h"
    assert engine.asked[-1] == "POST networks/red/connect"


async def test_what_cannot_be_connected_is_not_left_half_made(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    engine.answers["POST networks/red/connect"] = failed(404, "network red not found")
    engine.answers["DELETE containers/h"] = b"HTTP/1.1 204 No Content\r\n\r\n"
    wished = ContainerRequest(
        uuid="u", generation=1, project_id="p", image="x", networks=(NetworkRequest("blue"), NetworkRequest("red"))
    )
    with pytest.raises(NotFound):
        await runtime.containers.create(wished)
    assert engine.asked[-1] == "DELETE containers/h"


async def test_a_removal_that_is_under_way_is_waited_for(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    engine.answers["DELETE containers/h"] = failed(409, "removal of container h is already in progress")
    engine.answers["POST containers/h/wait"] = ok({"StatusCode": 0})
    await runtime.containers.remove("h")
    assert engine.asked[-2:] == ["DELETE containers/h", "POST containers/h/wait"]


@pytest.mark.parametrize("ending", ["broken", "ended"])
async def test_an_event_stream_that_stops_is_unavailable(
    engine: ScriptedEngine, runtime: DockerRuntime, ending: str
) -> None:
    event = {"Action": "start", "Actor": {"ID": "h", "Attributes": LABELS}, "timeNano": 1}
    engine.answers["GET events"] = broken(event) if ending == "broken" else ok(event)
    async with runtime.containers.events() as events:
        assert (await anext(events)).handle == "h"
        with pytest.raises(Unavailable):
            await anext(events)


async def test_a_pull_that_breaks_off_is_no_success(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    engine.answers["POST images/create"] = broken({"status": "Downloading"})
    with pytest.raises(Unavailable):
        await runtime.images.pull("busybox", None, lambda _: None)
    engine.answers["POST images/create"] = ok({"status": "Downloading"})
    engine.answers["GET images/docker.io/library/busybox:latest/json"] = failed(404, "No such image")
    with pytest.raises(Unavailable, match="try again"):
        await runtime.images.pull("busybox", None, lambda _: None)


async def test_a_pull_that_stands_still_is_given_up(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    stalled = broken({"status": "Downloading"}).replace(b"\r\nConnection: close", b"")
    engine.answers["POST images/create"] = stalled
    with pytest.raises(Unavailable):
        await runtime.images.pull("busybox", None, lambda _: None)


async def test_an_archive_that_stands_still_is_given_up(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    engine.answers["PUT containers/h/archive"] = HANG

    async def nothing_more() -> AsyncIterator[bytes]:
        yield b"begin"

    with pytest.raises(Timeout, match="stood still"):
        await runtime.streams.put_archive("h", "/", nothing_more())


async def test_the_senders_own_error_comes_out_as_it_was(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    engine.answers["PUT containers/h/archive"] = HANG

    async def refuses() -> AsyncIterator[bytes]:
        yield b"begin"
        raise Conflict("the sender changed its mind")

    with pytest.raises(Conflict, match="changed its mind"):
        await runtime.streams.put_archive("h", "/", refuses())


async def test_disk_limits_are_refused_before_anything_is_made(engine: ScriptedEngine, runtime: DockerRuntime) -> None:
    info = {"Driver": "overlay2", "DriverStatus": [], "ServerVersion": "1", "NCPU": 1, "MemTotal": 1, "Name": "n"}
    system = {"Architecture": "x", "OSType": "linux", "OperatingSystem": "x", "KernelVersion": "1", "Labels": ["a=b"]}
    engine.answers["GET info"] = ok(info | system)
    assert "disk-quota" not in (await runtime.containers.fingerprint()).capabilities
    with pytest.raises(Exception, match="cannot limit disk space"):
        await runtime.containers.create(ContainerRequest(uuid="u", generation=1, project_id="p", image="x", disk_gib=1))
    assert "POST containers/create" not in engine.asked


async def test_a_search_tells_what_was_found_or_that_the_registry_is_out_of_reach(
    engine: ScriptedEngine, runtime: DockerRuntime
) -> None:
    found = [{"name": name, "description": "d", "star_count": 3, "is_official": True} for name in ("box", "box/er")]
    engine.answers["GET images/search"] = ok(found)
    assert [one["name"] for one in await runtime.images.search("box", exact=False)] == ["box", "box/er"]
    (exact,) = await runtime.images.search("box", exact=True)
    assert exact["metadata"] == {"is_official": True, "is_automated": None, "star_count": 3}
    engine.answers["GET images/search"] = failed(500, "dial tcp: lookup index.docker.io: no such host")
    with pytest.raises(Unavailable, match="out of reach"):
        await runtime.images.search("box", exact=True)


@pytest.mark.parametrize("odd", ["../info", "a?force=1", "a b", "a#b", ""])
async def test_an_odd_id_never_becomes_another_call(engine: ScriptedEngine, runtime: DockerRuntime, odd: str) -> None:
    with pytest.raises((Invalid, NotFound)):
        await runtime.streams.exec_resize(odd, width=1, height=1)
    with pytest.raises((Invalid, NotFound)):
        await runtime.networks.detach("h", odd)
    if odd:
        with pytest.raises((Invalid, NotFound)):
            await runtime.containers.start(odd)
    assert not {"GET info", "POST info/resize", "POST info/start"} & set(engine.asked)
