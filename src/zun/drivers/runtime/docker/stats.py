# SPDX-License-Identifier: Apache-2.0
"""What a container of a Docker engine uses: read from its control group where the engine is on this machine.

The engine's own figures take it more than a second to give. They are the second choice, for an engine on another machine.
"""

from typing import Any

from zun.base.clock import Clock
from zun.drivers.runtime.docker.engine import Engine
from zun.drivers.runtime.host.cgroups import measure
from zun.drivers.runtime.types import Stats
from zun.model.errors import Conflict


async def sample(engine: Engine, clock: Clock, handle: str) -> Stats:
    """One sample of a running container. Raises `Conflict` when it does not run."""
    told = await engine.call("GET", f"containers/{handle}/json", "show the container")
    if not told["State"]["Running"]:
        raise Conflict("The container does not run, so it uses nothing; start it first.")
    limit = told["HostConfig"].get("Memory") or 0
    found = await measure(handle, told["State"]["Pid"], clock, memory_limit=limit)
    return found if found is not None else await _ask_engine(engine, handle)


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
