# SPDX-License-Identifier: Apache-2.0
"""What a container uses: two looks at its control group, a tenth of a second apart.

The engine's own figures take it more than a second to give. They are the second choice, for an engine on another machine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zun.base.clock import Clock
from zun.drivers.runtime.docker.engine import Engine
from zun.drivers.runtime.types import Stats
from zun.model.errors import Conflict

_BETWEEN_SECONDS = 0.1
_NANO = 1_000_000_000
_NO_LIMIT = 1 << 62
_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


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


async def sample(engine: Engine, clock: Clock, handle: str) -> Stats:
    """One sample of a running container. Raises `Conflict` when it does not run."""
    told = await engine.call("GET", f"containers/{handle}/json", "show the container")
    if not told["State"]["Running"]:
        raise Conflict("The container does not run, so it uses nothing; start it first.")
    pid = told["State"]["Pid"]
    if (first := read_usage(handle, pid)) is None:
        return await _ask_engine(engine, handle)
    began = clock.monotonic()
    await clock.sleep(_BETWEEN_SECONDS)
    second = read_usage(handle, pid)
    if second is None:
        raise Conflict("The container ended while it was measured.")
    elapsed = max(clock.monotonic() - began, 1e-9)
    return Stats(
        cpu_percent=round(100 * (second.cpu_nanoseconds - first.cpu_nanoseconds) / _NANO / elapsed, 2),
        memory_bytes=second.memory,
        memory_limit_bytes=second.memory_limit or told["HostConfig"].get("Memory") or _memory_of_machine(),
        block_read_bytes=second.block_read,
        block_write_bytes=second.block_write,
        network_rx_bytes=second.network_rx,
        network_tx_bytes=second.network_tx,
    )


def read_usage(handle: str, pid: int, *, proc: Path = _PROC, cgroups: Path = _CGROUPS) -> Usage | None:
    """The counters of a container on this machine; None when its control group cannot be seen from here."""
    try:
        groups = _groups(proc, pid)
        if handle not in "".join(groups.values()):
            return None  # the engine is on another machine and this pid is somebody else's
        received, sent = _network(proc, pid)
        if set(groups) == {""}:
            return _read_v2(cgroups / groups[""].lstrip("/"), received, sent)
        return _read_v1(cgroups, groups, received, sent)
    except (OSError, KeyError, ValueError):
        return None


def _groups(proc: Path, pid: int) -> dict[str, str]:
    """Path by controller; the unified hierarchy (alone, or beside the others) has no controller's name."""
    found = {}
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _read_v1(root: Path, groups: dict[str, str], received: int, sent: int) -> Usage:
    def below(controller: str) -> Path:
        return root / controller / groups[controller].lstrip("/")

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


def _memory_of_machine() -> int:
    for line in (_PROC / "meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


async def _ask_engine(engine: Engine, handle: str) -> Stats:
    """The engine's own figures, which it takes its time for."""
    told = await engine.call("GET", f"containers/{handle}/stats", "measure the container", params={"stream": "0"})
    now, before = told["cpu_stats"], told.get("precpu_stats") or {}
    used = now["cpu_usage"]["total_usage"] - before.get("cpu_usage", {}).get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cores = now.get("online_cpus") or 1
    memory = told.get("memory_stats") or {}
    inner = memory.get("stats") or {}
    cache = inner.get("total_inactive_file", inner.get("inactive_file", 0))
    networks = (told.get("networks") or {}).values()
    return Stats(
        cpu_percent=round(100 * cores * used / passed, 2) if passed > 0 else 0.0,
        memory_bytes=max(memory.get("usage", 0) - cache, 0),
        memory_limit_bytes=memory.get("limit", 0),
        block_read_bytes=_engine_blocks(told, "read"),
        block_write_bytes=_engine_blocks(told, "write"),
        network_rx_bytes=sum(network["rx_bytes"] for network in networks),
        network_tx_bytes=sum(network["tx_bytes"] for network in networks),
    )


def _engine_blocks(told: dict[str, Any], operation: str) -> int:
    entries = (told.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return sum(entry["value"] for entry in entries if entry["op"].lower() == operation)
