# SPDX-License-Identifier: Apache-2.0
"""What processes cost: processor time and memory, as the kernel counts them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

Roles = Mapping[str, Sequence[int]]
"""The processes of each role."""

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """All that a process has used so far, for itself and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_bytes(pid: int) -> int:
    """What it holds in memory now, what it shares with others divided among them."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


def cpu_of(roles: Roles) -> dict[str, float]:
    """By role."""
    return {role: sum(map(cpu_seconds, pids)) for role, pids in roles.items()}


def memory_of(roles: Roles) -> dict[str, int]:
    """By role."""
    return {role: sum(map(memory_bytes, pids)) for role, pids in roles.items()}
