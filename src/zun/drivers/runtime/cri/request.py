# SPDX-License-Identifier: Apache-2.0
"""A container request in the engine's words. Pure: what a request means is decided here and can be read off a test."""

import os
from collections.abc import Iterable
from pathlib import Path

from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels, security
from zun.drivers.runtime.cri.options import CriOptions, Swap
from zun.drivers.runtime.cri.places import LOG, Record
from zun.drivers.runtime.types import ContainerRequest, SandboxRequest
from zun.model.attachments import PublishedPort
from zun.model.errors import Invalid, Unsupported

CONTAINER_NAME = "main"
_MIB = 1 << 20
_CPU_PERIOD = 100_000  # microseconds
_LEAST_QUOTA = 1_000  # the kernel takes no less
_LEAST_MEMORY_MIB = 6
"""With less, the runtime itself does not fit in and the start fails in obscure ways."""


def check(request: ContainerRequest) -> None:
    """Refuse what this engine cannot do, before anything is made. Raises `Invalid`, `Unsupported`."""
    check_limits(request.memory_mib, request.cpuset)
    if request.healthcheck is not None:
        raise Unsupported("This engine runs no health checks; whoever asks it has to run them.")
    if request.disk_gib:
        raise Unsupported("This engine cannot limit disk space; ask for none (disk 0).")


def check_limits(memory_mib: int | None, cpuset: str | None) -> None:
    """Whether limits can be had on this machine. Raises `Invalid`."""
    if memory_mib is not None and memory_mib < _LEAST_MEMORY_MIB:
        raise Invalid(f"{memory_mib} MiB of memory are too little; ask for at least {_LEAST_MEMORY_MIB}.")
    if cpuset is not None:
        present = os.cpu_count() or 1
        for part in cpuset.split(","):
            first, _, last = part.strip().partition("-")
            if not first.isdecimal() or (last and not last.isdecimal()) or int(last or first) >= present:
                raise Invalid(f"{cpuset!r} are no cpus of this machine, which has 0 to {present - 1}.")


def sandbox(
    request: ContainerRequest, *, owner: str, attempt: int, log_directory: Path, dns: list[str], group: str
) -> cri.PodSandboxConfig:
    """The sandbox for one container. `attempt` sets it apart from earlier ones of the same container; `group` is the control group that
    the engine makes others in."""
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=f"zun-{request.uuid}",
            uid=f"{request.uuid}.{request.generation}",
            namespace=sandbox_namespace(owner),
            attempt=attempt,
        ),
        hostname=hostname(request),
        log_directory=str(log_directory),
        dns_config=cri.DNSConfig(servers=dns) if dns else None,
        port_mappings=port_mappings(request.published),
        labels=labels.of_request(request, owner),
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=group, security_context=security.of_sandbox(privileged=request.privileged)
        ),
    )


def pod(request: SandboxRequest, *, owner: str, network: str, dns: list[str], group: str) -> cri.PodSandboxConfig:
    """The sandbox for a capsule. Its containers have log directories of their own."""
    name = request.hostname or request.uuid.replace("-", "")[:12]
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=f"zun-{request.uuid}",
            uid=f"{request.uuid}.{request.generation}",
            namespace=sandbox_namespace(owner),
        ),
        hostname=name,
        dns_config=cri.DNSConfig(servers=dns) if dns else None,
        port_mappings=port_mappings(request.published),
        labels=labels.of_sandbox(
            owner=owner, capsule=request.uuid, generation=request.generation, project_id=request.project_id
        ),
        annotations={labels.NETWORK: network, labels.HOSTNAME: name},
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=group, security_context=security.of_sandbox(privileged=request.privileged)
        ),
    )


def port_mappings(published: Iterable[PublishedPort]) -> list[cri.PortMapping]:
    """Ports of the machine, which the plugin `portmap` sees to."""
    return [
        cri.PortMapping(
            protocol=cri.UDP if port.protocol == "udp" else cri.TCP,
            container_port=port.port,
            host_port=port.host_port,
            host_ip=port.host_address,
        )
        for port in published
    ]


def sandbox_namespace(owner: str) -> str:
    """What sandboxes of an owner are called after; also network plugins are told it."""
    return f"zun-{owner}"


def hostname(request: ContainerRequest) -> str:
    """What it asks for, else the beginning of its uuid; without any the engine would show the machine's own."""
    return request.hostname or request.uuid.replace("-", "")[:12]


def container(
    record: Record, *, owner: str, attempt: int, ran: bool, mounts: list[cri.Mount], options: CriOptions
) -> cri.ContainerConfig:
    """The container. Command, arguments and directory that are empty stay the image's. `ran`: an earlier attempt did."""
    request = record.request
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=CONTAINER_NAME, attempt=attempt),
        image=cri.ImageSpec(image=record.image_id),
        command=request.entrypoint,
        args=request.command,
        working_dir=request.workdir or "",
        envs=[cri.KeyValue(key=key, value=value) for key, value in request.environment.items()],
        mounts=mounts,
        labels=labels.of_request(request, owner),
        annotations={
            labels.IMAGE_ID: record.image_id,
            labels.PORTS: ",".join(str(port) for port in record.ports),
            labels.TTY: _flag(request.tty),
            labels.STDIN: _flag(request.interactive),
            labels.ONCE: _flag(request.stdin_once),
            labels.NETWORK: record.network,
            labels.CREATED_AT: str(record.created_at),
            labels.RAN: _flag(ran),
            labels.USER_LABELS: labels.user_labels(request),
        },
        log_path=LOG,
        stdin=request.interactive,
        stdin_once=request.stdin_once,
        tty=request.tty,
        linux=cri.LinuxContainerConfig(
            resources=resources(
                request.cpu, request.memory_mib, request.cpuset, options.swap, shares=request.cpu_shares
            ),
            security_context=security.of_container(privileged=request.privileged),
        ),
    )


def resources(
    cpu: float | None, memory_mib: int | None, cpuset: str | None, swap: Swap, *, shares: int | None = None
) -> cri.LinuxContainerResources:
    """Hard limits, for create and update alike, and the weight; what is not said stays as it is."""
    told = cri.LinuxContainerResources()
    if shares is not None:
        told.cpu_shares = shares
    if cpu is not None:
        told.cpu_period = _CPU_PERIOD
        told.cpu_quota = max(_LEAST_QUOTA, round(cpu * _CPU_PERIOD))
    if memory_mib is not None:
        told.memory_limit_in_bytes = memory_mib * _MIB
        if swap is Swap.NONE:
            told.memory_swap_limit_in_bytes = memory_mib * _MIB
    if cpuset is not None:
        told.cpuset_cpus = cpuset
    return told


def exposed(request: ContainerRequest, of_image: tuple[str, ...]) -> tuple[int, ...]:
    """The ports that request and image name, in order."""
    told = [*request.exposed_ports, *of_image]
    return tuple(sorted({int(port.partition("/")[0]) for port in told if port.partition("/")[0].isdecimal()}))


def _flag(said: bool) -> str:  # noqa: FBT001 - one word
    return "1" if said else ""
