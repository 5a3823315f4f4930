# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a cluster: machines, processes with their ids on the host and their memory, and cuts."""

from pathlib import Path

from lab.cluster import Cluster
from lab.machine import Machine
from lab.processes import descendants

_MIB = 1 << 20


def show(cluster: Cluster) -> str:
    """Give a table of everything, as text."""
    if not cluster.exists():
        return f"There is no cluster in {cluster.directory}; to make one: make cluster"
    lines = [f"API {cluster.url}   state {cluster.directory}   engine {cluster.runtime}"]
    for machine in cluster.machines.values():
        lines += _machine(cluster, machine)
    lines += [f"cut: {one} from {other}" for one, other in cluster.network.cuts()]
    return "\n".join(lines)


def _machine(cluster: Cluster, machine: Machine) -> list[str]:
    pid = machine.pid
    state = f"process {pid}, {memory(pid) // _MIB} MiB in all" if pid else "off"
    lines = [f"{machine.name:<9} {machine.host.address:<11} {state}"]
    on_host = {inside: outside for outside in descendants(pid) if (inside := _inside(outside))} if pid else {}
    status = machine.status()
    for process in cluster.processes(machine):
        said = status.get(process.name)
        if said is None:
            text = "not started"
        elif said["code"] is not None:
            text = f"has ended ({said['code']})"
        else:
            text = f"process {on_host.get(said['pid'], '?')}"
        lines.append(f"  {process.name:<19} {text}")
    return lines


def memory(pid: int) -> int:
    """Give the memory of a process and all below it, in bytes; what several share is counted in parts."""
    return sum(_proportional(one) for one in [pid, *descendants(pid)])


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _inside(pid: int) -> int:
    """Give the id that a process has on its machine; 0 for one deeper down, as in a container."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    ids = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
    return int(ids[1]) if len(ids) == 2 else 0
