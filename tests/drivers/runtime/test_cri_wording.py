# SPDX-License-Identifier: Apache-2.0
"""Requests in the words of the CRI, and what an engine shows in ours: pure, without an engine."""

import json
from pathlib import Path

import grpc
import grpc.aio
import msgspec
import pytest

from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels, request, seen
from zun.drivers.runtime.cri.attempts import shown_of
from zun.drivers.runtime.cri.errors import from_engine
from zun.drivers.runtime.cri.fingerprint import fingerprint
from zun.drivers.runtime.cri.handles import Identity, identity_of
from zun.drivers.runtime.cri.networks import CriNetworks
from zun.drivers.runtime.cri.options import CriOptions, Swap
from zun.drivers.runtime.cri.places import Record
from zun.drivers.runtime.cri.resolving import name_servers
from zun.drivers.runtime.types import Capability, ContainerRequest, NetworkRequest, SandboxRequest
from zun.model.attachments import PublishedPort
from zun.model.container import HealthCheck
from zun.model.errors import Conflict, Denied, Internal, Invalid, NotFound, Timeout, Unavailable, Unsupported, ZunError
from zun.model.records import SeenState

WISHED = ContainerRequest(uuid="a-b", generation=3, project_id="p", image="busybox")
RECORD = Record(request=WISHED, image_id="sha256:x", ports=(53, 80), network="blue", created_at=1_000_000_000)


def container(record: Record = RECORD, **fields: object) -> cri.ContainerConfig:
    told: dict[str, object] = {"owner": "me", "attempt": 0, "ran": False, "mounts": [], "options": CriOptions()}
    return request.container(record, **{**told, **fields})  # type: ignore[arg-type]


def test_a_handle_names_uuid_and_generation_and_nothing_else_does() -> None:
    assert identity_of("a-b.3") == Identity("a-b", 3)
    assert Identity("a-b", 3).handle == "a-b.3"
    for nonsense in ("", "a-b", "a-b.", "a/../b.1", "../x.1", "a b.1", "0123456789abcdef" * 4, "a.1\n"):
        with pytest.raises(NotFound):
            identity_of(nonsense)


def test_marks_tell_whose_it_is_and_users_cannot_make_them() -> None:
    wished = ContainerRequest(
        uuid="a-b", generation=3, project_id="p", image="b", labels={"io.zun.owner": "you", "tier": "web"}
    )
    config = container(Record(request=wished, image_id="sha256:x"))
    assert labels.identity(config.labels, "me") == Identity("a-b", 3)
    assert labels.identity(config.labels, "you") is None
    assert config.annotations[labels.USER_LABELS] == '{"tier": "web"}'
    assert "tier" not in {**config.labels, **config.annotations}


def test_commands_of_the_request_stand_where_the_images_would() -> None:
    wished = ContainerRequest(
        uuid="u", generation=1, project_id="p", image="b", command=["one"], entrypoint=["echo"], workdir="/srv"
    )
    told = container(Record(request=wished, image_id="sha256:x"))
    assert (list(told.command), list(told.args), told.working_dir) == (["echo"], ["one"], "/srv")
    told = container()
    assert (list(told.command), list(told.args), told.working_dir) == ([], [], "")


def test_limits_are_hard_ones_in_the_kernels_units() -> None:
    told = request.resources(0.5, 64, "0-1", Swap.NONE)
    assert (told.cpu_quota, told.cpu_period, told.cpuset_cpus) == (50_000, 100_000, "0-1")
    assert told.memory_limit_in_bytes == told.memory_swap_limit_in_bytes == 64 << 20
    assert request.resources(0.001, None, None, Swap.NONE).cpu_quota == 1_000
    assert request.resources(None, 64, None, Swap.UNLIMITED).memory_swap_limit_in_bytes == 0
    assert request.resources(None, None, None, Swap.NONE) == cri.LinuxContainerResources()


def test_a_weight_is_told_beside_the_limit() -> None:
    weighed = ContainerRequest(uuid="u", generation=1, project_id="p", image="b", cpu=2.0, cpu_shares=512)
    told = container(Record(request=weighed, image_id="sha256:x")).linux.resources
    assert (told.cpu_quota, told.cpu_shares) == (200_000, 512)
    assert container().linux.resources.cpu_shares == 0


@pytest.mark.parametrize("privileged", [False, True])
def test_a_pod_has_the_rights_that_a_container_in_it_needs(*, privileged: bool) -> None:
    asked = SandboxRequest(uuid="u", generation=1, project_id="p", privileged=privileged)
    pod = request.pod(asked, owner="me", network="n", dns=[], group="/zun/u.1")
    assert pod.linux.security_context.privileged is privileged


@pytest.mark.parametrize(
    ("wished", "error"),
    [
        ({"memory_mib": 5}, Invalid),
        ({"cpuset": "0-4096"}, Invalid),
        ({"cpuset": "x"}, Invalid),
        ({"disk_gib": 1}, Unsupported),
        ({"healthcheck": HealthCheck(test="true", interval=1, retries=1, timeout=1)}, Unsupported),
    ],
)
def test_what_cannot_be_had_is_refused_beforehand(wished: dict[str, object], error: type[ZunError]) -> None:
    told: dict[str, object] = {"uuid": "u", "generation": 1, "project_id": "p", "image": "b"}
    with pytest.raises(error):
        request.check(ContainerRequest(**{**told, **wished}))  # type: ignore[arg-type]


def test_every_container_has_a_filter_and_masks_but_a_privileged_one() -> None:
    plain = container().linux.security_context
    assert plain.HasField("seccomp")
    assert plain.seccomp.profile_type == cri.SecurityProfile.RuntimeDefault
    assert "/proc/sysrq-trigger" in plain.readonly_paths
    assert plain.namespace_options.pid == cri.CONTAINER
    strong = ContainerRequest(uuid="u", generation=1, project_id="p", image="b", privileged=True)
    told = container(Record(request=strong, image_id="sha256:x")).linux.security_context
    assert told.privileged
    assert told.seccomp.profile_type == cri.SecurityProfile.Unconfined
    sandbox = request.sandbox(
        strong, owner="me", attempt=2, log_directory=Path("/logs"), dns=["9.9.9.9"], group="/zun/u.1"
    )
    assert sandbox.linux.security_context.privileged
    assert (sandbox.metadata.attempt, sandbox.hostname, sandbox.log_directory) == (2, "u", "/logs")
    assert list(sandbox.dns_config.servers) == ["9.9.9.9"]
    assert sandbox.linux.cgroup_parent == "/zun/u.1"


def status(state: int, **fields: object) -> cri.ContainerStatus:
    marks = dict(container().annotations) | dict(fields.pop("annotations", {}))  # type: ignore[call-overload]
    return cri.ContainerStatus(id="c", state=state, created_at=2_000_000_000, annotations=marks, **fields)  # type: ignore[arg-type]


WHICH = Identity("a-b", 3)


def test_what_never_began_is_created_with_the_reason() -> None:
    failed = status(cri.CONTAINER_EXITED, reason="StartError", message="exec: x: not\nfound", exit_code=128)
    told = seen.container(WHICH, failed, None)
    assert (told.state, told.exit_code, told.error) == (SeenState.CREATED, None, "exec: x: not found")
    assert told.created_at == 1.0
    again = status(
        cri.CONTAINER_EXITED, reason="StartError", message="not found", exit_code=128, annotations={labels.RAN: "1"}
    )
    assert (seen.container(WHICH, again, None).state, seen.container(WHICH, again, None).exit_code) == (
        SeenState.EXITED, 127,
    )  # fmt: skip


def test_addresses_are_told_while_it_runs() -> None:
    network = cri.PodSandboxNetworkStatus(ip="10.0.0.2", additional_ips=[cri.PodIP(ip="fd00::2")])
    sandbox = cri.PodSandboxStatus(id="s", network=network)
    told = seen.container(WHICH, status(cri.CONTAINER_RUNNING, started_at=3), sandbox)
    assert [(one.network, one.addr, one.version, one.port) for one in told.addresses] == [
        ("blue", "10.0.0.2", 4, "s"), ("blue", "fd00::2", 6, "s"),
    ]  # fmt: skip
    ended = status(cri.CONTAINER_EXITED, started_at=3, finished_at=4, exit_code=137, reason="OOMKilled")
    told = seen.container(WHICH, ended, sandbox)
    assert (told.addresses, told.oom_killed, told.exit_code, told.ports) == ((), True, 137, (53, 80))


def attempt(number: int, state: int) -> cri.Container:
    return cri.Container(id=str(number), state=state, metadata=cri.ContainerMetadata(attempt=number))  # type: ignore[arg-type]


def test_a_container_is_its_newest_attempt_once_that_has_begun() -> None:
    old = attempt(0, cri.CONTAINER_EXITED)
    assert shown_of([old]).id == "0"
    assert shown_of([old, attempt(1, cri.CONTAINER_CREATED)]).id == "0"
    assert shown_of([old, attempt(1, cri.CONTAINER_RUNNING)]).id == "1"
    assert shown_of([attempt(0, cri.CONTAINER_CREATED)]).id == "0"
    spoiled = attempt(1, cri.CONTAINER_UNKNOWN)
    assert shown_of([old, spoiled, attempt(2, cri.CONTAINER_CREATED)]).id == "0"
    assert shown_of([spoiled, attempt(2, cri.CONTAINER_CREATED)]).id == "2"


CNI = """{"Networks": [
  {"Config": {"Name": "cni-loopback", "Plugins": [{"Source": "{\\"type\\": \\"loopback\\"}"}]}},
  {"Config": {"Name": "blue", "Plugins": [{"Source":
     "{\\"type\\": \\"bridge\\", \\"ipam\\": {\\"ranges\\": [[{\\"subnet\\": \\"10.9.0.0/24\\"}]]}}"}]}}]}"""
CONFIG = '{"containerd": {"runtimes": {"runc": {}, "kata": {}}, "defaultRuntimeName": "runc"}}'
STATUS = cri.StatusResponse(info={"cniconfig": CNI, "config": CONFIG})


def test_the_one_network_is_the_engines_own() -> None:
    networks = CriNetworks()
    (blue,) = networks.learn(STATUS)
    assert (blue.name, blue.driver, blue.subnets, blue.fixed_addresses) == ("blue", "bridge", ["10.9.0.0/24"], False)
    assert networks.choose(()) == networks.choose((NetworkRequest("blue"),)) == "blue"
    for wished, error in (
        ((NetworkRequest("host"),), NotFound),
        ((NetworkRequest("blue", v4="10.9.0.7"),), Invalid),
        ((NetworkRequest("blue"), NetworkRequest("blue")), Invalid),
    ):
        with pytest.raises(error):
            networks.choose(wished)
    assert CriNetworks().choose(()) == ""


def test_ports_are_published_where_a_plugin_of_the_network_sees_to_them() -> None:
    version, networks = cri.VersionResponse(runtime_name="containerd"), CriNetworks()
    networks.learn(STATUS)
    assert not networks.maps_ports
    assert Capability.PUBLISH not in fingerprint(version, STATUS, (), maps_ports=False).capabilities
    plugin = {"Source": json.dumps({"type": "portmap", "capabilities": {"portMappings": True}})}
    told = json.loads(CNI)
    told["Networks"][1]["Config"]["Plugins"].append(plugin)
    networks.learn(cri.StatusResponse(info={"cniconfig": json.dumps(told)}))
    assert networks.maps_ports
    assert Capability.PUBLISH in fingerprint(version, STATUS, (), maps_ports=True).capabilities


def test_published_ports_are_said_of_sandboxes_of_containers_and_capsules() -> None:
    published = (PublishedPort(8080, 80, "tcp", "127.0.0.1"), PublishedPort(5353, 53, "udp"))
    alone = request.sandbox(
        msgspec.structs.replace(WISHED, published=published),
        owner="me", attempt=0, log_directory=Path("/logs"), dns=[], group="",
    )  # fmt: skip
    capsule = SandboxRequest(uuid="u", generation=1, project_id="p", published=published)
    shared = request.pod(capsule, owner="me", network="blue", dns=[], group="")
    for told in (alone, shared):
        assert [(one.protocol, one.container_port, one.host_port, one.host_ip) for one in told.port_mappings] == [
            (cri.TCP, 80, 8080, "127.0.0.1"),
            (cri.UDP, 53, 5353, ""),
        ]


def test_what_the_service_plugs_in_is_refused_while_the_engine_would_have_something_else_do_it() -> None:
    networks = CriNetworks()
    with pytest.raises(Unavailable, match="has no plugin"):
        networks.require_service()
    networks.learn(STATUS)
    with pytest.raises(Unavailable, match="has bridge do it"):
        networks.require_service()
    networks.learn(cri.StatusResponse(info={"cniconfig": CNI.replace("bridge", "zun-cni")}))
    networks.require_service()
    assert networks.by_service


def test_where_a_sandboxs_network_is_comes_from_what_it_is_run_with() -> None:
    spec = (
        '{"runtimeSpec": {"linux": {"namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/cni-1"}]}}}'
    )
    assert seen.network_namespaces(cri.PodSandboxStatusResponse(info={"info": spec})) == ["/run/netns/cni-1"]
    assert seen.network_namespaces(cri.PodSandboxStatusResponse(info={"info": '{"runtimeSpec": null}'})) == []
    assert seen.network_namespaces(cri.PodSandboxStatusResponse()) == []


def test_handlers_come_from_the_engines_configuration() -> None:
    version = cri.VersionResponse(runtime_name="containerd", runtime_version="1.6.20")
    told = fingerprint(version, STATUS, (), maps_ports=True)
    assert (told.runtimes, told.default_runtime) == (["kata", "runc"], "runc")
    assert not told.capabilities & {Capability.PAUSE, Capability.COMMIT, Capability.HEALTH, Capability.NETWORKS}
    assert fingerprint(version, cri.StatusResponse(), (), maps_ports=True).runtimes == []


def test_name_servers_on_loopback_are_not_for_containers(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\nsearch x\n")
    real.write_text("# comment\nnameserver 192.0.2.1\nnameserver ::1\nnameserver 2001:db8::1\n")
    assert name_servers("", (stub, real)) == ["192.0.2.1", "2001:db8::1"]
    assert name_servers(" 9.9.9.9, 1.1.1.1", (stub, real)) == ["9.9.9.9", "1.1.1.1"]
    assert name_servers("", (stub, tmp_path / "absent")) == []


@pytest.mark.parametrize(
    ("code", "text", "error"),
    [
        ("UNKNOWN", 'exec: "x": executable file not found in $PATH: unknown', Invalid),
        ("UNKNOWN", "failed to resolve reference: unexpected status from HEAD: 401 Unauthorized", Denied),
        ("UNKNOWN", "pull access denied, repository does not exist or may require authorization", NotFound),
        ("NOT_FOUND", "an error occurred when try to find container", NotFound),
        ("UNKNOWN", "dial tcp 127.0.0.1:9: connect: connection refused", Unavailable),
        ("UNKNOWN", 'plugin type="zun-cni" name="zun" failed (add): namespace /run/x: not found', Unavailable),
        ("UNKNOWN", 'failed to reserve sandbox name "x": name "x" is reserved for "y"', Unavailable),
        ("UNKNOWN", "failed to set removing state: container is in starting state, can't be removed", Unavailable),
        ("UNKNOWN", 'no runtime for "x" is configured', Invalid),
        ("UNKNOWN", "something nobody has heard of", Internal),
        ("FAILED_PRECONDITION", "container is in CONTAINER_EXITED state", Conflict),
        ("FAILED_PRECONDITION", "the container is not running", Conflict),
        ("INVALID_ARGUMENT", "bad", Invalid),
        ("UNIMPLEMENTED", "unknown method", Unsupported),
        ("DEADLINE_EXCEEDED", "", Timeout),
        ("UNAVAILABLE", "connect: no such file or directory", Unavailable),
    ],
)
def test_an_engines_failures_say_what_the_caller_can_do(code: str, text: str, error: type[ZunError]) -> None:
    failure = grpc.aio.AioRpcError(grpc.StatusCode[code], grpc.aio.Metadata(), grpc.aio.Metadata(), details=text)
    told = from_engine(failure, "start the container", endpoint="unix:///run/x.sock", seconds=3)
    assert type(told) is error
    assert "start the container" in told.message
    assert told.message.endswith(".")
