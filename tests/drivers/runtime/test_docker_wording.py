# SPDX-License-Identifier: Apache-2.0
"""What is said to Docker and what is understood of it, without a Docker."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zun.drivers.runtime import labels
from zun.drivers.runtime.docker import request, seen
from zun.drivers.runtime.docker.address import resolve
from zun.drivers.runtime.docker.demultiplex import Demultiplexer
from zun.drivers.runtime.docker.errors import from_engine
from zun.drivers.runtime.docker.options import DockerOptions, Swap
from zun.drivers.runtime.types import (
    Channel,
    ContainerRequest,
    FileMount,
    NetworkRequest,
    RuntimeEventKind,
    SandboxRequest,
    VolumeMount,
)
from zun.model.attachments import PublishedPort
from zun.model.container import HealthCheck
from zun.model.errors import Conflict, Denied, Internal, Invalid, NotFound, Unavailable, Unsupported, ZunError


def body(options: DockerOptions | None = None, **fields: Any) -> dict[str, Any]:
    told = {"uuid": "u", "generation": 1, "project_id": "p", "image": "busybox"} | fields
    return request.create_body(ContainerRequest(**told), owner="me", options=options or DockerOptions())


def test_image_defaults_are_left_to_the_image() -> None:
    assert not {"Cmd", "Entrypoint", "WorkingDir", "Hostname", "Healthcheck", "ExposedPorts"} & set(body())
    told = body(command=[], entrypoint=["x"], workdir="/w", hostname="h")
    assert (told["Cmd"], told["Entrypoint"], told["WorkingDir"], told["Hostname"]) == ([], ["x"], "/w", "h")


def test_published_ports_are_bound_and_exposed_where_the_engine_plugs_in() -> None:
    web = PublishedPort(host_port=8080, port=80, host_address="127.0.0.1")
    dns = PublishedPort(host_port=5353, port=53, protocol="udp")
    bindings = {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "", "HostPort": "5353"}],
    }
    assert body(published=(web, dns))["HostConfig"]["PortBindings"] == bindings
    capsule = SandboxRequest(uuid="u", generation=1, project_id="p", published=(web, dns))
    assert request.sandbox_body(capsule, owner="me", options=DockerOptions())["HostConfig"]["PortBindings"] == bindings
    assert "PortBindings" not in body()["HostConfig"]


@pytest.mark.parametrize(
    "told",
    [
        "driver failed programming external connectivity on endpoint zun-1: Bind for 127.0.0.1:8080 failed: port is already allocated",
        "Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
    ],
)
def test_a_port_that_somebody_else_has_is_a_conflict_that_says_so(told: str) -> None:
    error = from_engine(500, told, "start the container")
    assert isinstance(error, Conflict)
    assert error.message.endswith("publish another port.")


def test_docker_never_restarts_anything_by_itself() -> None:
    assert body()["HostConfig"]["RestartPolicy"] == {"Name": "no"}


def test_our_labels_win_over_a_users() -> None:
    labels = body(labels={"io.zun.owner": "evil", "io.zun.other": "evil", "a": "b"})["Labels"]
    assert labels == {
        "a": "b",
        "io.zun.owner": "me",
        "io.zun.uuid": "u",
        "io.zun.generation": "1",
        "io.zun.project": "p",
        "io.zun.capsule": "",
    }


def test_limits_are_hard_and_leave_no_swap() -> None:
    host = body(cpu=0.3, memory_mib=10, cpuset="1,3")["HostConfig"]
    assert (host["NanoCpus"], host["CpusetCpus"]) == (300_000_000, "1,3")
    assert host["Memory"] == host["MemorySwap"] == 10 << 20
    assert body(DockerOptions(swap=Swap.UNLIMITED), memory_mib=10)["HostConfig"]["MemorySwap"] == -1
    assert not {"NanoCpus", "Memory", "CpusetCpus", "CpuShares", "CpuQuota"} & set(body()["HostConfig"])


def test_a_weight_is_told_beside_the_limit() -> None:
    host = body(cpu=2.0, cpu_shares=512)["HostConfig"]
    assert (host["NanoCpus"], host["CpuShares"]) == (2_000_000_000, 512)


def test_mounts_runtime_health_and_ports_are_passed_on() -> None:
    told = body(
        DockerOptions(default_runtime="runsc"),
        volumes=(VolumeMount("v", "/v"),),
        files=(FileMount("/host/f", "/f"),),
        healthcheck=HealthCheck(test="true", interval=2, retries=4, timeout=3),
        exposed_ports=["80", "53/udp"],
        interactive=True,
        tty=True,
        disk_gib=3,
        privileged=True,
    )
    host = told["HostConfig"]
    assert host["Mounts"] == [
        {"Type": "volume", "Source": "v", "Target": "/v"},
        {"Type": "bind", "Source": "/host/f", "Target": "/f"},
    ]
    assert (host["Runtime"], host["StorageOpt"], host["Privileged"]) == ("runsc", {"size": "3G"}, True)
    assert body(DockerOptions(default_runtime="a"), runtime="b")["HostConfig"]["Runtime"] == "b"
    assert told["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"], "Interval": 2_000_000_000, "Timeout": 3_000_000_000, "Retries": 4,
    }  # fmt: skip
    assert told["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert (told["Tty"], told["OpenStdin"], told["StdinOnce"]) == (True, True, False)


@pytest.mark.parametrize(
    ("asked", "default", "told"),
    [("kata", "", "kata"), ("kata", "runsc", "kata"), (None, "runsc", "runsc"), (None, "", None)],
)
def test_a_sandbox_runs_under_the_runtime_that_is_named(asked: str | None, default: str, told: str | None) -> None:
    wished = SandboxRequest(uuid="u", generation=1, project_id="p", runtime=asked)
    sandbox = request.sandbox_body(wished, owner="me", options=DockerOptions(default_runtime=default))
    joins = body(DockerOptions(default_runtime=default), runtime=asked, sandbox="s", capsule="u")
    assert sandbox["HostConfig"].get("Runtime") == joins["HostConfig"].get("Runtime") == told
    assert "Privileged" not in sandbox["HostConfig"]


def test_the_first_network_is_the_primary_one() -> None:
    told = body(networks=(NetworkRequest("blue", v4="10.0.0.9", v6="fd00::9"), NetworkRequest("red")))
    assert told["HostConfig"]["NetworkMode"] == "blue"
    assert told["NetworkingConfig"]["EndpointsConfig"] == {
        "blue": {"IPAMConfig": {"IPv4Address": "10.0.0.9", "IPv6Address": "fd00::9"}}
    }


@pytest.mark.parametrize("network", ["host", "none", "container:0123", "ns:/proc/1/ns/net"])
def test_the_hosts_own_network_is_never_asked_for(network: str) -> None:
    with pytest.raises(Invalid):
        body(networks=(NetworkRequest(network),))


def test_a_container_that_somebody_else_plugs_in_joins_its_holder_which_is_told_what_docker_takes_of_holders_only() -> (
    None
):
    told = body(unplugged=True, hostname="web", exposed_ports=["80"], addresses=("10.0.0.2",), generation=2)
    assert told["HostConfig"]["NetworkMode"] == "container:zun-u-g2-net"
    assert not {"Hostname", "ExposedPorts", "NetworkingConfig"} & set(told)
    inspected = {"Config": told, "HostConfig": told["HostConfig"]}
    assert request.joined(inspected) == "zun-u-g2-net"
    holder = request.holder_body(inspected, DockerOptions())
    assert (holder["Hostname"], holder["HostConfig"]["ExtraHosts"]) == ("web", ["web:10.0.0.2"])
    assert holder["HostConfig"]["NetworkMode"] == "none"
    assert labels.is_holder(holder["Labels"])


def test_a_sandbox_that_somebody_else_plugs_in_has_no_network_of_the_engines_and_its_name_stands_for_its_addresses() -> (
    None
):
    asked = SandboxRequest(uuid="u" * 20, generation=1, project_id="p", exposed_ports=["80"])
    plain = request.sandbox_body(asked, owner="me", options=DockerOptions())
    assert plain["HostConfig"]["NetworkMode"] == "default"
    assert "Hostname" not in plain
    asked = msgspec.structs.replace(asked, unplugged=True, addresses=("10.0.0.2", "fd00::2"))
    told = request.sandbox_body(asked, owner="me", options=DockerOptions())
    assert told["Hostname"] == "u" * 12
    assert told["HostConfig"]["NetworkMode"] == "none"
    assert told["HostConfig"]["ExtraHosts"] == [f"{'u' * 12}:10.0.0.2", f"{'u' * 12}:fd00::2"]
    assert request.is_unplugged(told)
    assert not request.is_unplugged(plain)


def test_the_sandbox_that_a_container_joins_is_its_capsules() -> None:
    child = {"HostConfig": {"NetworkMode": "container:abc"}, "Config": {"Labels": {labels.CAPSULE: "c"}}}
    assert request.joined_sandbox(child) == "abc"
    alone = {"HostConfig": {"NetworkMode": "container:abc-net"}, "Config": {"Labels": {labels.CAPSULE: ""}}}
    assert request.joined_sandbox(alone) == ""


def test_no_image_makes_a_container_a_holder_or_speaks_for_it() -> None:
    brought = {labels.HOLDS: "somebody", labels.HOSTNAME: "evil", labels.ADDRESSES: "1.2.3.4", labels.PORTS: "22"}
    told = body(unplugged=True)
    told["Labels"] = brought | told["Labels"]  # as Docker merges them
    assert not labels.is_holder(told["Labels"])
    holder = request.holder_body({"Config": told, "HostConfig": told["HostConfig"]}, DockerOptions())
    assert holder["Hostname"] == "u"
    assert holder["HostConfig"]["ExtraHosts"] == []


def test_who_joins_the_network_of_something_else_has_no_holder() -> None:
    assert request.joined({"HostConfig": {"NetworkMode": "container:0123456789ab"}}) == ""
    assert request.joined({"HostConfig": {"NetworkMode": "default"}}) == ""


def test_names_let_generations_live_side_by_side() -> None:
    assert request.name("u", 1) == "zun-u"
    assert request.name("u", 2) == "zun-u-g2"


def inspected(**state: Any) -> dict[str, Any]:
    return {
        "Id": "i",
        "Created": "2026-01-02T03:04:05.123456789Z",
        "Image": "sha256:x",
        "State": {"Status": "exited", "ExitCode": 3, "StartedAt": "0001-01-01T00:00:00Z", "Running": False} | state,
        "Config": {"Labels": {"io.zun.owner": "me", "io.zun.uuid": "u", "io.zun.generation": "2"}},
        "NetworkSettings": {"Networks": None},
    }


def test_times_are_seconds_and_the_year_one_is_never() -> None:
    found = seen.container(inspected())
    assert found.created_at == pytest.approx(1767323045.123456, abs=1e-5)
    assert found.started_at is None
    assert (found.uuid, found.generation, found.exit_code) == ("u", 2, 3)


def test_running_out_of_memory_is_known_though_the_engine_heard_of_it_too_late() -> None:
    state = {"ExitCode": 137, "StartedAt": "2026-01-02T03:04:06Z", "OOMKilled": False}
    started_at = seen.moment(state["StartedAt"]) or 0
    assert seen.container(inspected(**state), oom_at=started_at + 1).oom_killed
    assert not seen.container(inspected(**state), oom_at=started_at - 1).oom_killed
    assert not seen.container(inspected(**state)).oom_killed
    assert not seen.container(inspected(**state | {"ExitCode": 0}), oom_at=started_at + 1).oom_killed


@pytest.mark.parametrize("status", ["removing", "restarting", "something new"])
def test_a_state_that_means_nothing_to_us_is_unknown(status: str) -> None:
    assert seen.container(inspected(Status=status)).state == "unknown"


def test_only_events_of_our_containers_that_matter_are_told() -> None:
    actor = {"ID": "i", "Attributes": {"io.zun.uuid": "u"}}
    assert seen.event({"Action": "exec_create: sh", "Actor": actor, "timeNano": 1}) is None
    assert seen.event({"Action": "start", "Actor": {"ID": "i", "Attributes": {}}}) is None
    told = seen.event({"Action": "health_status: healthy", "Actor": actor, "timeNano": 1_500_000_000})
    assert told is not None
    assert (told.kind, told.at) == (RuntimeEventKind.HEALTH, 1.5)


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (500, 'Get "https://r/v2/": dial tcp: lookup r: no such host', Unavailable),
        (500, 'Head "http://r/v2/x/manifests/1": no basic auth credentials', Denied),
        (404, "pull access denied for x, repository does not exist or may require 'docker login'", Denied),
        (404, "manifest for r/x:9 not found: manifest unknown", NotFound),
        (400, 'exec: "nosuch": executable file not found in $PATH: unknown', Invalid),
        (403, "Address already in use", Conflict),
        (403, "endpoint with name zun-x already exists in network blue", Conflict),
        (500, "Container abc is not paused", Conflict),
        (409, "Container abc is not running", Conflict),
        (500, "archive/tar: invalid tar header", Invalid),
        (404, "No such container: abc", NotFound),
        (400, "Minimum memory limit allowed is 6MB", Invalid),
        (500, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option", Unsupported),
        (500, "something that nobody has seen before", Internal),
    ],
)
def test_what_docker_says_becomes_what_the_caller_can_do(status: int, text: str, error: type[ZunError]) -> None:
    told = from_engine(status, text, "do it")
    assert type(told) is error
    assert told.message.startswith("Docker could not do it: ")
    assert told.message.endswith(".")


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300))), st.integers(1, 50))
def test_frames_come_apart_the_same_however_the_bytes_are_cut(frames: list[tuple[int, bytes]], cut: int) -> None:
    wire = b"".join(bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for number, data in frames)
    parser = Demultiplexer(tty=False)
    chunks = [chunk for start in range(0, len(wire), cut) for chunk in parser.feed(wire[start : start + cut])]
    for number, channel in ((1, Channel.STDOUT), (2, Channel.STDERR)):
        expected = b"".join(data for told, data in frames if told == number)
        assert b"".join(chunk.data for chunk in chunks if chunk.channel is channel) == expected


def test_the_address_comes_from_the_options_then_the_environment() -> None:
    assert resolve(DockerOptions(), {}).socket_path == "/var/run/docker.sock"
    assert resolve(DockerOptions(), {"DOCKER_HOST": "unix:///x.sock"}).socket_path == "/x.sock"
    far = resolve(DockerOptions(url="tcp://10.0.0.1:99"), {"DOCKER_HOST": "unix:///x.sock"})
    assert (far.host, far.port, far.base) == ("10.0.0.1", 99, "http://10.0.0.1:99")
    for wrong in ("ssh://me@there", "/var/run/docker.sock", "unix://"):
        with pytest.raises(Invalid):
            resolve(DockerOptions(url=wrong), {})


def test_no_container_can_use_up_the_machines_processes_unless_its_operator_wants_so() -> None:
    assert body()["HostConfig"]["PidsLimit"] == DockerOptions().most_processes > 0
    assert "PidsLimit" not in body(DockerOptions(most_processes=0))["HostConfig"]
