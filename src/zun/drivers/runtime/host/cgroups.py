# SPDX-License-Identifier: Apache-2.0
"""What a container uses, read from its control group: two looks, a tenth of a second apart.

Both kinds of hierarchies are read. The group of a process counts only when the container's id is in its path: a runtime may
ignore control groups, an engine may be on another machine, and then the process's group is somebody else's.
"""

from dataclasses import dataclass
from pathlib import Path

from zun.base.clock import Clock
from zun.drivers.runtime.types import Stats
from zun.model.errors import Conflict

_BETWEEN_SECONDS = 0.1
_NANO = 1_000_000_000
_NO_LIMIT = 1 << 62
PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters at one moment. `cpu_nanoseconds` since the container began; `memory_limit` 0 is none."""

    cpu_nanoseconds: int
    memory: int
    memory_limit: int
    block_read: int
    block_write: int
    network_rx: int
    network_tx: int


async def measure(container_id: str, pid: int, clock: Clock, *, memory_limit: int) -> Stats | None:
    """One sample of a running container; None when its control group cannot be seen from here.

    `memory_limit` is the engine's word for a container whose group has none; 0: all of the machine. Raises `Conflict` when
    it ends meanwhile.
    """
    if (first := read_usage(container_id, pid)) is None:
        return None
    began = clock.monotonic()
    await clock.sleep(_BETWEEN_SECONDS)
    second = read_usage(container_id, pid)
    if second is None:
        raise Conflict("The container ended while it was measured.")
    elapsed = max(clock.monotonic() - began, 1e-9)
    return Stats(
        cpu_percent=round(100 * (second.cpu_nanoseconds - first.cpu_nanoseconds) / _NANO / elapsed, 2),
        memory_bytes=second.memory,
        memory_limit_bytes=second.memory_limit or memory_limit or memory_of_machine(),
        block_read_bytes=second.block_read,
        block_write_bytes=second.block_write,
        network_rx_bytes=second.network_rx,
        network_tx_bytes=second.network_tx,
    )


def read_usage(container_id: str, pid: int, *, proc: Path = PROC, cgroups: Path = CGROUPS) -> Usage | None:
    """The counters of a container on this machine; None when its control group cannot be seen from here."""
    try:
        groups = groups_of(container_id, pid, proc=proc)
        if not groups:
            return None
        received, sent = _network(proc, pid)
        if set(groups) == {""}:
            return _read_v2(cgroups / groups[""], received, sent)
        return _read_v1(cgroups, groups, received, sent)
    except (OSError, KeyError, ValueError):
        return None


def groups_of(container_id: str, pid: int, *, proc: Path = PROC) -> dict[str, str]:
    """The container's groups: path without leading slash by controller; empty when the process is in none of the container's.

    The unified hierarchy (alone, or beside the others) has no controller's name. Raises `OSError` for a process that is gone.
    """
    found = {}
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if container_id in path:
            for controller in controllers.split(","):
                found[controller] = path.lstrip("/")
    return found


def bound_processes(container_id: str, pid: int, most: int, *, proc: Path = PROC, cgroups: Path = CGROUPS) -> bool:
    """Let the container have at most so many processes; false when it has no group of its own. Raises `OSError`."""
    groups = groups_of(container_id, pid, proc=proc)
    if "pids" in groups:
        group = cgroups / "pids" / groups["pids"]
    elif set(groups) == {""}:
        group = cgroups / groups[""]
    else:
        return False
    (group / "pids.max").write_text(str(most))
    return True


def pids_of(container_id: str, pid: int, *, proc: Path = PROC, cgroups: Path = CGROUPS) -> set[int]:
    """All processes of the container, as the machine numbers them; empty when it has no group of its own. Raises `OSError`."""
    groups = groups_of(container_id, pid, proc=proc)
    if not groups:
        return set()
    if set(groups) == {""}:
        group = cgroups / groups[""]
    else:
        controller = next(name for name in ("pids", "memory", "cpu", *groups) if name in groups)
        group = cgroups / controller.removeprefix("name=") / groups[controller]
    return {int(line) for path in group.rglob("cgroup.procs") for line in path.read_text().split()}


def memory_of_machine() -> int:
    """Bytes of memory this machine has; 0 where it does not tell."""
    for line in (PROC / "meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _read_v1(root: Path, groups: dict[str, str], received: int, sent: int) -> Usage:
    def below(controller: str) -> Path:
        return root / controller / groups[controller]

    memory = below("memory")
    limit = int((memory / "memory.limit_in_bytes").read_text())
    cache = _pairs(memory / "memory.stat").get("total_inactive_file", 0)
    read, written = _block_v1(below("blkio") / "blkio.throttle.io_service_bytes")
    return Usage(
        cpu_nanoseconds=int((below("cpuacct") / "cpuacct.usage").read_text()),
        memory=max(int((memory / "memory.usage_in_bytes").read_text()) - cache, 0),
        memory_limit=0 if limit >= _NO_LIMIT else limit,
        block_read=read,
        block_write=written,
        network_rx=received,
        network_tx=sent,
    )


def _read_v2(group: Path, received: int, sent: int) -> Usage:
    limit = (group / "memory.max").read_text().strip()
    cache = _pairs(group / "memory.stat").get("inactive_file", 0)
    read = written = 0
    for line in (group / "io.stat").read_text().splitlines():
        fields = dict(field.split("=", 1) for field in line.split()[1:])
        read, written = read + int(fields.get("rbytes", 0)), written + int(fields.get("wbytes", 0))
    return Usage(
        cpu_nanoseconds=_pairs(group / "cpu.stat")["usage_usec"] * 1000,
        memory=max(int((group / "memory.current").read_text()) - cache, 0),
        memory_limit=0 if limit == "max" else int(limit),
        block_read=read,
        block_write=written,
        network_rx=received,
        network_tx=sent,
    )


def _pairs(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


def _block_v1(path: Path) -> tuple[int, int]:
    read = written = 0
    for line in path.read_text().splitlines():
        fields = line.split()
        if fields[1:2] == ["Read"]:
            read += int(fields[2])
        elif fields[1:2] == ["Write"]:
            written += int(fields[2])
    return read, written


def _network(proc: Path, pid: int) -> tuple[int, int]:
    received = sent = 0
    for line in (proc / str(pid) / "net" / "dev").read_text().splitlines()[2:]:
        name, _, figures = line.partition(":")
        if name.strip() != "lo":
            fields = figures.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent
