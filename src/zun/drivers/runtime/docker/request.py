# SPDX-License-Identifier: Apache-2.0
"""A container request in the engine's words. Pure: what a request means is decided here and can be read off a test."""

from collections.abc import Iterable, Mapping
from typing import Any

from zun.drivers.runtime import labels
from zun.drivers.runtime.docker.options import DockerOptions, Swap
from zun.drivers.runtime.types import ContainerRequest, NetworkRequest, SandboxRequest
from zun.model import image_reference
from zun.model.attachments import PublishedPort
from zun.model.container import HealthCheck
from zun.model.errors import Invalid

_MIB = 1 << 20
_NANO = 1_000_000_000
_LOG_DRIVER = "local"  # json-file loses bytes that are no UTF-8
_LOG_FILES = 2
_UNLIMITED = -1
_SANDBOX_PROCESSES = 16
_ID_PREFIX = "sha256:"
_JOINS = "container:"
_HOLDER = "-net"
_HOLDER_PROCESSES = 16
_NO_NETWORK = "none"
_FORBIDDEN_NETWORKS = frozenset({"host", _NO_NETWORK})


def name(uuid: str, generation: int) -> str:
    """The container's name in the engine: a later generation can be made while the earlier one is still there."""
    return f"zun-{uuid}" if generation <= 1 else f"zun-{uuid}-g{generation}"


def sandbox_name(uuid: str, generation: int) -> str:
    """The name of a capsule's sandbox in the engine."""
    return f"{name(uuid, generation)}-sandbox"


def image(reference: str) -> str:
    """An image as the engine is asked for it: an id as it is, a name in full. Raises `Invalid`."""
    return reference if reference.startswith(_ID_PREFIX) else image_reference.parse(reference).canonical()


def create_body(request: ContainerRequest, *, owner: str, options: DockerOptions) -> dict[str, Any]:
    """The body of the engine's create call. Command, entrypoint and working directory that are None stay the image's."""
    body: dict[str, Any] = {
        "Image": image(request.image),
        "Labels": labels.owned(
            request.labels,
            owner=owner,
            uuid=request.uuid,
            generation=request.generation,
            project_id=request.project_id,
            capsule=request.capsule,
        )
        | _for_holder(request),
        "Env": [f"{key}={value}" for key, value in request.environment.items()],
        "Tty": request.tty,
        "OpenStdin": request.interactive,
        "StdinOnce": request.stdin_once,  # without it, whoever detaches leaves the input open for the next
        "HostConfig": _host(request, options),
    }
    overrides = {
        "Cmd": request.command,
        "Entrypoint": request.entrypoint,
        "WorkingDir": request.workdir,
        "Hostname": None if request.unplugged else request.hostname,
    }
    body |= {key: value for key, value in overrides.items() if value is not None}
    if request.healthcheck is not None:
        body["Healthcheck"] = _healthcheck(request.healthcheck)
    if request.exposed_ports and not request.unplugged:
        body["ExposedPorts"] = {port if "/" in port else f"{port}/tcp": {} for port in request.exposed_ports}
    if request.networks:
        first = request.networks[0]
        body["NetworkingConfig"] = {"EndpointsConfig": {first.network: endpoint(first)}}
    return body


def holder_name(uuid: str, generation: int) -> str:
    """The name of what holds a container's network."""
    return f"{name(uuid, generation)}{_HOLDER}"


def joined(told: Mapping[str, Any]) -> str:
    """The name of the holder that an inspected container joins; "" when its network is its own."""
    mode = (told.get("HostConfig") or {}).get("NetworkMode") or ""
    return mode.removeprefix(_JOINS) if mode.startswith(_JOINS) and mode.endswith(_HOLDER) else ""


def joined_sandbox(told: Mapping[str, Any]) -> str:
    """The id of the sandbox that an inspected container joins; "" for one that is of no capsule."""
    mode = (told.get("HostConfig") or {}).get("NetworkMode") or ""
    is_of_capsule = bool((told["Config"].get("Labels") or {}).get(labels.CAPSULE))
    return mode.removeprefix(_JOINS) if is_of_capsule and mode.startswith(_JOINS) else ""


def is_unplugged(told: Mapping[str, Any]) -> bool:
    """Whether the engine plugs an inspected container into nothing, since somebody else does."""
    return bool((told.get("HostConfig") or {}).get("NetworkMode") == _NO_NETWORK)


def holder_body(told: Mapping[str, Any], options: DockerOptions) -> dict[str, Any]:
    """The body of the call that makes the holder of an inspected container: it may do as good as nothing, for nothing is what it has to do."""
    own = told["Config"]["Labels"]
    hostname = own.get(labels.HOSTNAME) or own[labels.UUID][:12]
    return {
        "Image": image(options.sandbox_image),
        "Hostname": hostname,
        "Labels": {
            labels.OWNER: own[labels.OWNER],
            labels.HOLDS: own[labels.UUID],
            labels.GENERATION: own[labels.GENERATION],
            labels.PROJECT: own[labels.PROJECT],
        },
        "HostConfig": {
            "RestartPolicy": {"Name": "no"},
            "NetworkMode": _NO_NETWORK,
            "ExtraHosts": _hosts(hostname, own.get(labels.ADDRESSES, "").split(",")),
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": _HOLDER_PROCESSES,
            "LogConfig": {"Type": "none"},
        },
    }


def sandbox_body(request: SandboxRequest, *, owner: str, options: DockerOptions) -> dict[str, Any]:
    """The body of the call that makes a sandbox: it may do as good as nothing, for nothing is what it has to do."""
    first = request.networks[0] if request.networks else None
    runtime = request.runtime or options.default_runtime
    body: dict[str, Any] = {
        "Image": image(options.sandbox_image),
        "Labels": labels.of_sandbox(
            owner=owner, capsule=request.uuid, generation=request.generation, project_id=request.project_id
        ),
        "ExposedPorts": {port if "/" in port else f"{port}/tcp": {} for port in request.exposed_ports},
        "HostConfig": {
            "RestartPolicy": {"Name": "no"},
            "NetworkMode": _NO_NETWORK if request.unplugged else first.network if first is not None else "default",
            **_published(request.published),
            "IpcMode": "shareable",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": _SANDBOX_PROCESSES,
            "LogConfig": {"Type": "none"},
            **({"Runtime": runtime} if runtime else {}),
        },
    }
    if request.unplugged:
        hostname = request.hostname or request.uuid[:12]
        body["Hostname"], body["HostConfig"]["ExtraHosts"] = hostname, _hosts(hostname, request.addresses)
    elif request.hostname:
        body["Hostname"] = request.hostname
    if first is not None:
        body["NetworkingConfig"] = {"EndpointsConfig": {first.network: endpoint(first)}}
    return body


def _hosts(hostname: str, addresses: Iterable[str]) -> list[str]:
    """What the engine writes into hosts files: it knows no address of what somebody else plugs in."""
    return [f"{hostname}:{addr}" for addr in addresses if addr]


def endpoint(request: NetworkRequest) -> dict[str, Any]:
    """A container's place on a network, with the addresses it asks for."""
    check_network(request.network)
    wished = {"IPv4Address": request.v4, "IPv6Address": request.v6}
    addresses = {key: value for key, value in wished.items() if value}
    return {"IPAMConfig": addresses} if addresses else {}


def check_network(network: str) -> None:
    """Refuse what is no network of a container's own. Raises `Invalid`."""
    if network in _FORBIDDEN_NETWORKS or ":" in network:
        raise Invalid(f"Containers may not use the network {network!r}; name one that the node lists.")


def _network_mode(request: ContainerRequest) -> str:
    if request.unplugged:
        return f"{_JOINS}{holder_name(request.uuid, request.generation)}"
    return request.networks[0].network if request.networks else "default"


def _for_holder(request: ContainerRequest) -> dict[str, str]:
    """What the engine takes of nobody that joins a network; the holder is told it. Also what is empty, lest the image's labels tell it."""
    if not request.unplugged:
        return {}
    return {
        labels.HOSTNAME: request.hostname or "",
        labels.ADDRESSES: ",".join(request.addresses),
        labels.PORTS: ",".join(request.exposed_ports),
    }


def limits(cpu: float | None, memory_mib: int | None, cpuset: str | None, swap: Swap) -> dict[str, Any]:
    """Hard limits, for create and update alike. NanoCpus alone: the engine refuses to mix it with quota and period."""
    told: dict[str, Any] = {}
    if cpu is not None:
        told["NanoCpus"] = round(cpu * _NANO)
    if memory_mib is not None:
        told["Memory"] = memory_mib * _MIB
        told["MemorySwap"] = told["Memory"] if swap is Swap.NONE else _UNLIMITED
    if cpuset is not None:
        told["CpusetCpus"] = cpuset
    return told


def _host(request: ContainerRequest, options: DockerOptions) -> dict[str, Any]:
    host: dict[str, Any] = {
        "RestartPolicy": {"Name": "no"},
        "NetworkMode": _network_mode(request),
        **_joined(request),
        **_published(request.published),
        "Privileged": request.privileged,
        **limits(request.cpu, request.memory_mib, request.cpuset, options.swap),
    }
    if request.cpu_shares is not None:
        host["CpuShares"] = request.cpu_shares
    if options.most_processes:
        host["PidsLimit"] = options.most_processes
    runtime = request.runtime or options.default_runtime
    if runtime:
        host["Runtime"] = runtime
    if request.disk_gib:
        host["StorageOpt"] = {"size": f"{request.disk_gib}G"}
    if options.log_mib:
        size = f"{max(1, options.log_mib // _LOG_FILES)}m"
        host["LogConfig"] = {"Type": _LOG_DRIVER, "Config": {"max-size": size, "max-file": str(_LOG_FILES)}}
    mounts: list[dict[str, Any]] = [
        {
            "Type": "volume",
            "Source": volume.name,
            "Target": volume.destination,
            **({"ReadOnly": True} if volume.read_only else {}),
        }
        for volume in request.volumes
    ]
    mounts += [{"Type": "bind", "Source": file.host_path, "Target": file.destination} for file in request.files]
    if mounts:
        host["Mounts"] = mounts
    return host


def _published(ports: Iterable[PublishedPort]) -> dict[str, Any]:
    """Ports of the machine; the engine serves those only that are exposed, too."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        binding = {"HostIp": port.host_address, "HostPort": str(port.host_port)}
        bindings.setdefault(f"{port.port}/{port.protocol}", []).append(binding)
    return {"PortBindings": bindings} if bindings else {}


def _joined(request: ContainerRequest) -> dict[str, Any]:
    """What it shares with its capsule's other containers."""
    if not request.sandbox:
        return {}
    return {"NetworkMode": f"container:{request.sandbox}", "IpcMode": f"container:{request.sandbox}"}


def _healthcheck(check: HealthCheck) -> dict[str, Any]:
    return {
        "Test": ["CMD-SHELL", check.test],
        "Interval": check.interval * _NANO,
        "Timeout": check.timeout * _NANO,
        "Retries": check.retries,
    }
