# SPDX-License-Identifier: Apache-2.0
"""Containers on a real containerd, beyond the contract: what starts again, what is kept, what is let go of, what tenants may do."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.containerd_engine import Containerd
from support.cri_runtime import CriGround, CriHarness, container_id, pid_of, spec_of
from support.registry import Registry
from zun.agent import watchdog
from zun.base.ids import new_uuid
from zun.drivers.runtime.contract_harness import WAITS, becomes, ended, execute, log_of, make, run
from zun.drivers.runtime.cri import cri_pb2
from zun.drivers.runtime.cri.request import sandbox_namespace
from zun.drivers.runtime.types import (
    Channel,
    ContainerRequest,
    RuntimeEvent,
    RuntimeEventKind,
    SandboxRequest,
    VolumeMount,
)
from zun.model.errors import Invalid, NotFound, Unsupported
from zun.model.records import SeenState

pytestmark = pytest.mark.containerd


async def sandboxes(harness: CriHarness) -> list[cri_pb2.PodSandbox]:
    """This harness's sandboxes, as the engine tells them."""
    wanted = cri_pb2.ListPodSandboxRequest(
        filter=cri_pb2.PodSandboxFilter(label_selector={"io.zun.owner": harness.owner})
    )
    told = await asyncio.to_thread(harness.ground.engine.call, "ListPodSandbox", wanted, cri_pb2.ListPodSandboxResponse)
    return list(told.items)


async def test_files_are_kept_when_it_is_started_again(cri: CriHarness) -> None:
    script = "cat /etc/kept /srv/new/file; ls -d /bin/busybox /home; echo $(stat -c %a /); sleep 1000000"
    handle = await run(cri, ["sh", "-c", script])
    change = "echo changed > /etc/kept; mkdir /srv/new; echo new > /srv/new/file; rmdir /home; chmod 711 /"
    assert (await execute(cri, handle, ["sh", "-c", change]))[2] == 0
    for expected in (2, 3):
        await cri.runtime.containers.stop(handle, 0)
        await cri.runtime.containers.start(handle)

        async def told(times: int = expected) -> bool:
            return (await log_of(cri, handle))[Channel.STDOUT].count(b"changed\nnew\n/bin/busybox\n711\n") == times - 1

        await cri.until(told)
    assert len(await sandboxes(cri)) == 1
    assert len(cri.ground.engine.ctr("containers", "list", "--quiet").split()) == 2


async def test_what_lost_its_sandbox_begins_in_another_with_its_files_and_the_right_hosts(cri: CriHarness) -> None:
    """As after a start of the machine, which ends every sandbox."""
    handle = await run(cri, WAITS, hostname="box")
    await execute(cri, handle, ["sh", "-c", "echo kept > /srv/kept"])
    (before,) = await sandboxes(cri)
    await asyncio.to_thread(
        cri.ground.engine.call,
        "StopPodSandbox",
        cri_pb2.StopPodSandboxRequest(pod_sandbox_id=before.id),
        cri_pb2.Nothing,
    )
    assert (await ended(cri, handle)).exit_code == 137
    again = await cri.reopen()
    await again.containers.start(handle)
    seen = await again.containers.inspect(handle)
    out, _, _ = await execute(cri, handle, ["cat", "/srv/kept", "/etc/hosts"])
    assert out.startswith(b"kept\n")
    assert f"{seen.addresses[0].addr}\tbox\n".encode() in out
    (after,) = await sandboxes(cri)
    assert after.id != before.id


async def test_a_start_that_fails_again_is_an_end_with_a_shells_code(cri: CriHarness) -> None:
    handle = await make(cri, ["/srv/program"])
    with pytest.raises(Invalid):
        await cri.runtime.containers.start(handle)
    assert (await cri.runtime.containers.inspect(handle)).state is SeenState.CREATED
    await cri.runtime.containers.remove(handle)

    handle = await run(cri, ["sh", "-c", "rm /bin/sh"])
    assert (await ended(cri, handle)).exit_code == 0
    with pytest.raises(Invalid):
        await cri.runtime.containers.start(handle)
    seen = await cri.runtime.containers.inspect(handle)
    assert (seen.state, seen.exit_code) == (SeenState.EXITED, 127)
    assert "sh" in seen.error


async def test_a_killed_driver_leaves_nothing_that_its_next_life_does_not_clear(cri: CriHarness) -> None:
    """A sandbox without a container, and an attempt that has taken another's place."""
    handle = await run(cri)
    await cri.runtime.containers.kill(handle, "SIGKILL")
    await ended(cri, handle)
    (sandbox,) = await sandboxes(cri)
    config = cri_pb2.PodSandboxConfig(
        metadata=cri_pb2.PodSandboxMetadata(name="half", uid="half", namespace=sandbox_namespace(cri.owner), attempt=0),
        hostname="half",
        labels={**sandbox.labels, "io.zun.uuid": new_uuid()},
    )
    request = cri_pb2.RunPodSandboxRequest(config=config)
    call = cri.ground.engine.call
    await asyncio.to_thread(call, "RunPodSandbox", request, cri_pb2.RunPodSandboxResponse)
    assert len(await sandboxes(cri)) == 2
    await cri.reopen()
    assert [one.id for one in await sandboxes(cri)] == [sandbox.id]


async def test_the_sandbox_of_what_ended_is_let_go_and_made_again_when_needed(
    engine: Containerd, tmp_path: Path
) -> None:
    ground = CriGround(engine, Registry("", ""), "")
    cri = await CriHarness.open(ground, tmp_path, upkeep_seconds=0.1, idle_sandbox_seconds=0.1)
    try:
        handle = await run(cri, ["sh", "-c", "echo x >> /srv/runs; cat /srv/runs"])
        await ended(cri, handle)

        async def is_down() -> bool:
            return [one.state for one in await sandboxes(cri)] == [cri_pb2.SANDBOX_NOTREADY]

        await cri.until(is_down)
        assert (await cri.runtime.containers.inspect(handle)).state is SeenState.EXITED
        await cri.runtime.containers.start(handle)
        await ended(cri, handle)
        assert (await log_of(cri, handle))[Channel.STDOUT] == b"x\nx\nx\n"
    finally:
        await cri.close()


async def test_too_much_memory_ends_it_and_is_told(cri: CriHarness) -> None:
    containers = cri.runtime.containers
    async with containers.events() as events:
        handle = await run(cri, ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"], memory_mib=16)
        kinds: set[RuntimeEventKind] = set()
        async for event in events:
            kinds.add(event.kind)
            if RuntimeEventKind.EXITED in kinds:
                break
    seen = await containers.inspect(handle)
    assert seen.exit_code == 137
    assert seen.oom_killed


async def test_an_end_is_told_only_when_a_look_shows_it(cri: CriHarness) -> None:
    containers = cri.runtime.containers
    async with containers.events() as events:
        handles = [await run(cri, ["sh", "-c", f"sleep 0.{number}; exit {number}"]) for number in range(1, 6)]
        told: dict[str, RuntimeEvent] = {}
        async for event in events:
            if event.kind is RuntimeEventKind.EXITED:
                seen = await containers.inspect(event.handle)
                assert seen.state is SeenState.EXITED
                told[event.handle] = event
            if len(told) == len(handles):
                break
    assert set(told) == set(handles)


async def test_starting_again_is_told_as_a_start_and_not_as_a_removal(cri: CriHarness) -> None:
    containers = cri.runtime.containers
    handle = await run(cri, ["true"])
    await ended(cri, handle)
    async with containers.events() as events:
        await containers.start(handle)
        await containers.remove(handle)
        kinds = []
        async for event in events:
            kinds.append(event.kind)
            if event.kind is RuntimeEventKind.REMOVED:
                break
    assert RuntimeEventKind.STARTED in kinds[: kinds.index(RuntimeEventKind.REMOVED)]


async def test_a_tenant_has_dockers_rights_and_no_more(cri: CriHarness) -> None:
    handle = await run(cri)
    out, _, _ = await execute(cri, handle, ["sh", "-c", "cat /proc/1/status; hostname; cat /etc/hosts; ls /proc/acpi"])
    lines = out.splitlines()
    assert b"CapEff:\t00000000a80425fb" in lines
    assert b"Seccomp:\t2" in lines
    assert (await cri.runtime.containers.inspect(handle)).uuid.replace("-", "")[:12].encode() in lines
    assert not _hosts_of_machine() & set(lines)
    _, _, code = await execute(cri, handle, ["sh", "-c", "echo 1 > /proc/sys/kernel/panic"])
    assert code != 0
    spec = spec_of(cri.ground.engine, handle)
    assert {"/proc/kcore", "/proc/keys", "/sys/firmware"} <= set(spec["linux"]["maskedPaths"])
    assert {"/proc/sys", "/proc/sysrq-trigger"} <= set(spec["linux"]["readonlyPaths"])
    assert _most_processes(pid_of(cri.ground.engine, handle)) == "4096"


def _hosts_of_machine() -> set[bytes]:
    lines = Path("/etc/hosts").read_bytes().splitlines()
    return {line for line in lines if line.split() and line.split()[1:] != [b"localhost"]}


def _most_processes(pid: int) -> str:
    version_1 = Path("/sys/fs/cgroup/pids") / _group(pid, "pids") / "pids.max"
    version_2 = Path("/sys/fs/cgroup") / _group(pid, "") / "pids.max"
    return (version_1 if version_1.exists() else version_2).read_text().strip()


def _group(pid: int, controller: str) -> str:
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path.lstrip("/")
    return ""


async def test_the_watchdog_finds_the_processes_of_every_attempt_and_not_the_sandboxs(cri: CriHarness) -> None:
    """Also when the agent died before it could tell their number. A sandbox outlives its container, which is no reason to call that killed."""
    handle = await run(cri)
    await cri.runtime.containers.stop(handle, 0)
    guarded = watchdog.Guarded("c", handle, 0, 0, 60.0)
    assert watchdog.processes_of(guarded, watchdog.control_groups()) == []
    await cri.runtime.containers.start(handle)
    seen = await cri.runtime.containers.inspect(handle)
    assert seen.pid == pid_of(cri.ground.engine, handle)
    assert watchdog.processes_of(guarded, watchdog.control_groups()) == [seen.pid]


async def test_a_privileged_one_has_all_rights(cri: CriHarness) -> None:
    handle = await run(cri, privileged=True)
    out, _, _ = await execute(cri, handle, ["sh", "-c", "grep -E 'CapEff|Seccomp:' /proc/1/status; ls /dev/vda"])
    assert b"Seccomp:\t0" in out
    assert b"CapEff:\t00000000a80425fb" not in out


async def test_labels_of_users_are_no_orders_to_the_runtime(cri: CriHarness) -> None:
    labels = {"cdi.k8s.io/gpu": "vendor.com/gpu=0", "io.katacontainers.config.hypervisor.path": "/bin/sh"}
    handle = await make(cri, WAITS, labels=labels)
    told = cri.ground.engine.ctr("containers", "info", container_id(cri.ground.engine, handle))
    spec = json.loads(told)["Spec"]
    assert not set(labels) & set(spec["annotations"])
    assert not set(labels) & set(json.loads(told)["Labels"])


async def test_an_unknown_runtime_is_refused_before_anything_is_made(cri: CriHarness) -> None:
    with pytest.raises(Invalid, match="runc"):
        await make(cri, WAITS, runtime="no-such-runtime")
    with pytest.raises(NotFound):
        await make(cri, WAITS, image="zun.local/no-such-image:1")
    assert await sandboxes(cri) == []
    assert not any((cri.directory / "cri" / "containers").iterdir())


@pytest.mark.parametrize("runtime", ["runc", "crun", "gvisor"])
async def test_each_runtime_runs_containers(cri: CriHarness, runtime: str) -> None:
    told = await cri.runtime.containers.fingerprint()
    if runtime not in told.runtimes:
        pytest.skip(f"{runtime} is not installed: run scripts/ensure-containerd --handlers")
    handle = await run(
        cri, ["sh", "-c", "echo out; echo err >&2; read line; exit 7"], runtime=runtime, interactive=True
    )
    await cri.until(lambda: _has_said(cri, handle))
    out, _, code = await execute(cri, handle, ["sh", "-c", "uname -r; exit 3"])
    assert code == 3
    assert (out == b"4.4.0\n") is (runtime == "gvisor")  # what gVisor's own kernel says it is
    async with cri.runtime.streams.attach(handle) as session:
        await session.write(b"go\n")
        assert (await ended(cri, handle)).exit_code == 7
    await cri.runtime.containers.start(handle)
    await becomes(cri, handle, SeenState.RUNNING)
    await cri.runtime.containers.stop(handle, 0)
    assert (await cri.runtime.containers.inspect(handle)).state is SeenState.EXITED
    await cri.runtime.containers.remove(handle)
    assert await sandboxes(cri) == []


async def test_ports_of_containers_in_a_sandbox_are_refused_with_the_reason(cri: CriHarness) -> None:
    if "gvisor" not in (await cri.runtime.containers.fingerprint()).runtimes:
        pytest.skip("gvisor is not installed: run scripts/ensure-containerd --handlers")
    handle = await run(cri, ["nc", "-ll", "-p", "7", "-e", "cat"], runtime="gvisor")
    with pytest.raises(Unsupported, match="gVisor"):
        async with cri.runtime.streams.port_forward(handle, 7):
            raise AssertionError("it opened")


@pytest.mark.parametrize("runtime", ["crun", "gvisor"])
async def test_all_of_a_pod_runs_under_the_runtime_it_names_and_shares_a_network(cri: CriHarness, runtime: str) -> None:
    if runtime not in (await cri.runtime.containers.fingerprint()).runtimes:
        pytest.skip(f"{runtime} is not installed: run scripts/ensure-containerd --handlers")
    pods, capsule = cri.runtime.pods, new_uuid()
    assert pods is not None
    pod = await pods.create_sandbox(SandboxRequest(uuid=capsule, generation=1, project_id="p", runtime=runtime))
    (sandbox,) = cri.ground.engine.call(
        "ListPodSandbox",
        cri_pb2.ListPodSandboxRequest(filter=cri_pb2.PodSandboxFilter(id=pod)),
        cri_pb2.ListPodSandboxResponse,
    ).items
    assert sandbox.runtime_handler == runtime
    serves = ["sh", "-c", "while :; do echo from the neighbour | nc -l -p 9000; done"]
    one = await run(cri, serves, sandbox=pod, capsule=capsule, runtime=runtime)
    other = await run(cri, sandbox=pod, capsule=capsule, runtime=runtime)
    for handle in (one, other):
        assert ((await execute(cri, handle, ["uname", "-r"]))[0] == b"4.4.0\n") is (runtime == "gvisor")

    async def answers() -> bool:
        return (await execute(cri, other, ["sh", "-c", "nc 127.0.0.1 9000 </dev/null"]))[0] == b"from the neighbour\n"

    await cri.until(answers)
    await pods.remove_sandbox(pod)


async def test_a_pod_under_an_unknown_runtime_is_refused(cri: CriHarness) -> None:
    assert cri.runtime.pods is not None
    wished = SandboxRequest(uuid=new_uuid(), generation=1, project_id="p", runtime="no-such-runtime")
    with pytest.raises(Invalid, match="no-such-runtime"):
        await cri.runtime.pods.create_sandbox(wished)
    assert await cri.runtime.pods.list_sandboxes() == []


async def test_a_privileged_one_in_a_pod_has_all_rights_and_its_neighbour_has_not(cri: CriHarness) -> None:
    pods, capsule = cri.runtime.pods, new_uuid()
    assert pods is not None
    pod = await pods.create_sandbox(SandboxRequest(uuid=capsule, generation=1, project_id="p", privileged=True))
    rights = []
    for privileged in (True, False):
        handle = await run(cri, sandbox=pod, capsule=capsule, privileged=privileged)
        rights.append((await execute(cri, handle, ["grep", "CapEff", "/proc/1/status"]))[0].split()[1])
    assert int(rights[0], 16) & ~int(rights[1], 16)
    assert int(rights[1], 16) == 0xA80425FB  # what Docker gives
    await pods.remove_sandbox(pod)


async def _has_said(cri: CriHarness, handle: str) -> bool:
    return await log_of(cri, handle) == {Channel.STDOUT: b"out\n", Channel.STDERR: b"err\n"}


async def test_a_new_volume_begins_with_what_the_image_has_there(cri: CriHarness) -> None:
    volume = VolumeMount(cri.volume(), "/etc")
    handle = await run(cri, volumes=(volume,))
    out, _, _ = await execute(cri, handle, ["sh", "-c", "cat /etc/passwd; echo mine > /etc/passwd; stat -c %a /etc"])
    assert out.startswith(b"root:x:0:0")
    second = await run(cri, volumes=(VolumeMount(volume.name, "/bin/../etc"),))
    assert (await execute(cri, second, ["cat", "/etc/passwd"]))[0] == b"mine\n"


async def test_many_are_made_and_removed_at_once_and_nothing_is_left(cri: CriHarness) -> None:
    async def one() -> None:
        request = ContainerRequest(
            uuid=new_uuid(), generation=1, project_id="p", image=cri.image, command=["sleep", "1000"]
        )
        handle = await cri.runtime.containers.create(request)
        await cri.runtime.containers.start(handle)
        await cri.runtime.containers.remove(handle)

    gate = asyncio.Semaphore(6)

    async def gated() -> None:
        async with gate:
            await one()

    async with asyncio.TaskGroup() as group:
        for _ in range(18):
            group.create_task(gated())
    assert {what: left for what, left in cri.ground.engine.leftovers().items() if left} == {}


@pytest.fixture
async def nothing_left(engine: Containerd) -> AsyncIterator[None]:
    yield
    assert {what: left for what, left in engine.leftovers().items() if left} == {}
