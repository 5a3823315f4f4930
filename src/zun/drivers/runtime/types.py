# SPDX-License-Identifier: Apache-2.0
"""What goes into a runtime and what comes out of it, in words that no engine owns."""

from enum import StrEnum

import msgspec

from zun.model.attachments import PublishedPort
from zun.model.container import HealthCheck
from zun.model.records import Address, NetworkInfo, SeenState


class Capability(StrEnum):
    """What a runtime can do beyond the minimum; what it lacks is refused before anything happens."""

    COMMIT = "commit"
    DISK_QUOTA = "disk-quota"
    EXEC = "exec"
    ATTACH = "attach"
    HEALTH = "health"
    LIVE_RESIZE = "live-resize"
    NETWORKS = "networks"  # named networks, attach and detach
    PAUSE = "pause"
    PRIVILEGED = "privileged"
    VOLUMES = "volumes"  # named local volumes
    CPUSET = "cpuset"
    CHANGE_IMAGE = "rebuild"
    CAPSULES = "capsules"
    PORT_FORWARD = "port-forward"
    SANDBOXED_CAPSULES = "sandboxed-capsules"  # under a runtime of their own, in one network all the same
    PUBLISH = "publish"


class Fingerprint(msgspec.Struct, frozen=True):
    """What the engine says of itself and its machine."""

    engine: str
    engine_version: str
    cpus: int
    memory_total_mib: int
    disk_total_gib: int
    architecture: str
    os_type: str
    os: str
    kernel_version: str
    hostname: str
    labels: dict[str, str]
    runtimes: list[str]
    default_runtime: str
    capabilities: frozenset[Capability]
    networks: tuple[NetworkInfo, ...]


class Credentials(msgspec.Struct, frozen=True):
    """A login at a registry."""

    username: str
    password: str
    server: str

    def __repr__(self) -> str:
        """Without the password, so that no log line can hold it."""
        return f"Credentials(username={self.username!r}, server={self.server!r})"


class ImageInfo(msgspec.Struct, frozen=True):
    """An image the engine has. `size` in bytes. The defaults are the image's own."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    command: list[str] | None = None
    entrypoint: list[str] | None = None
    workdir: str | None = None
    exposed_ports: tuple[str, ...] = ()


class PullProgress(msgspec.Struct, frozen=True):
    """How far a pull is: bytes of the layers known so far, and a line for people."""

    text: str
    current: int = 0
    total: int = 0


class NetworkRequest(msgspec.Struct, frozen=True):
    """A network to plug into, by the engine's name or id."""

    network: str
    v4: str | None = None
    v6: str | None = None


class VolumeMount(msgspec.Struct, frozen=True):
    """A named volume of the engine, made when it is absent."""

    name: str
    destination: str
    read_only: bool = False


class FileMount(msgspec.Struct, frozen=True):
    """A file of the host bound into the container."""

    host_path: str
    destination: str


class ContainerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A container to be made. None for command, entrypoint or workdir means the image's own.

    `cpu` is a hard limit in cores, `cpu_shares` its weight while others want the same cpu (1024 when it is None), `cpuset` a list of cpus ("2,3"), `memory_mib` a hard limit, `disk_gib` 0 none.
    `stdin_once`: the input of an interactive one ends with the first session, as `cat | program` needs it; else it stays open.
    The first network is the primary one; none at all means the engine's default, unless it is `unplugged`: then somebody else plugs it in,
    and the engine gives it nothing but loopback. `addresses` are what its own name stands for then.
    `published` are ports of the machine that lead to it while it runs; whoever else plugs it in sees to them then.
    With `sandbox` (a handle) it joins that one's network
    instead, has its host name, and asks for no networks and ports; `capsule` is then the uuid of the capsule it belongs to.
    """

    uuid: str
    generation: int
    project_id: str
    image: str
    command: list[str] | None = None
    entrypoint: list[str] | None = None
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    workdir: str | None = None
    hostname: str | None = None
    tty: bool = False
    interactive: bool = False
    stdin_once: bool = False
    privileged: bool = False
    runtime: str | None = None
    cpu: float | None = None
    cpu_shares: int | None = None
    cpuset: str | None = None
    memory_mib: int | None = None
    disk_gib: int = 0
    healthcheck: HealthCheck | None = None
    exposed_ports: list[str] = []
    published: tuple[PublishedPort, ...] = ()
    networks: tuple[NetworkRequest, ...] = ()
    unplugged: bool = False
    addresses: tuple[str, ...] = ()
    volumes: tuple[VolumeMount, ...] = ()
    files: tuple[FileMount, ...] = ()
    sandbox: str = ""
    capsule: str = ""


class SandboxRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox to be made: what the containers of a capsule share. The first network is the primary one; none means the engine's default,
    unless it is `unplugged`: then somebody else plugs it in before any container in it starts, and its name stands for `addresses`.
    `privileged`: a container that will join it is.
    """

    uuid: str
    generation: int
    project_id: str
    hostname: str | None = None
    runtime: str | None = None
    privileged: bool = False
    exposed_ports: list[str] = []
    published: tuple[PublishedPort, ...] = ()
    networks: tuple[NetworkRequest, ...] = ()
    unplugged: bool = False
    addresses: tuple[str, ...] = ()


class SandboxSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox as the engine shows it; `uuid` is its capsule's. One that is not `ready` never becomes so: it is removed, and another made."""

    handle: str
    uuid: str
    generation: int
    ready: bool
    created_at: float | None = None
    error: str = ""
    addresses: tuple[Address, ...] = ()


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A container as the engine shows it. `handle` is the engine's id. Times are seconds since the epoch.

    `state` is one of created, running, paused, exited, dead, unknown. `health` is starting, healthy, unhealthy or None; `unwell` why it is
    unhealthy, where that is known. `pid` is that of its
    first process as the machine counts; 0 when none runs, and from an engine without processes. `capsule` is the uuid of the capsule it belongs to.
    """

    handle: str
    uuid: str
    generation: int
    state: SeenState
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    health: str | None = None
    unwell: str = ""
    addresses: tuple[Address, ...] = ()
    ports: tuple[int, ...] = ()
    image_id: str = ""
    pid: int = 0
    capsule: str = ""


class RuntimeEventKind(StrEnum):
    """What happened to a container, as far as the agent cares."""

    STARTED = "started"
    EXITED = "exited"
    OOM = "oom"
    PAUSED = "paused"
    UNPAUSED = "unpaused"
    REMOVED = "removed"
    HEALTH = "health"
    OTHER = "other"


class RuntimeEvent(msgspec.Struct, frozen=True):
    """Something happened; look at the container to learn what is true now. Of a capsule's container, or its sandbox, `capsule` is the capsule."""

    kind: RuntimeEventKind
    handle: str
    uuid: str
    at: float
    capsule: str = ""


class Channel(StrEnum):
    """Which of a process's two outputs."""

    STDOUT = "stdout"
    STDERR = "stderr"


class Chunk(msgspec.Struct, frozen=True):
    """A piece of output; with a terminal all is stdout."""

    channel: Channel
    data: bytes


class LogQuery(msgspec.Struct, frozen=True):
    """Which log lines: `tail` None is all, `since` in seconds since the epoch."""

    stdout: bool = True
    stderr: bool = True
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
    follow: bool = False


class ExecRequest(msgspec.Struct, frozen=True):
    """A command to run inside a container."""

    argv: list[str]
    tty: bool = False
    stdin: bool = False
    environment: dict[str, str] = {}
    workdir: str | None = None


class Top(msgspec.Struct, frozen=True):
    """A process table."""

    titles: list[str]
    processes: list[list[str]]


class Stats(msgspec.Struct, frozen=True):
    """One sample. `cpu_percent` is of one core (200 = two cores busy), measured over a short time, not since boot."""

    cpu_percent: float
    memory_bytes: int
    memory_limit_bytes: int
    block_read_bytes: int
    block_write_bytes: int
    network_rx_bytes: int
    network_tx_bytes: int


class PathStat(msgspec.Struct, frozen=True):
    """What lies at a path inside a container."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""
