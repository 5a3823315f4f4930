# SPDX-License-Identifier: Apache-2.0
"""What the kernel holds a process to."""

from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MIB = 1 << 20


def applied_limits_of(pid: int) -> tuple[float | None, int | None, str | None]:
    """Cpus, MiB and the cpuset of the control groups that a process is in, whichever version they have."""
    groups = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path.lstrip("/"))
    if set(groups) == {""}:
        group = _CGROUPS / groups[""]
        quota, period = (group / "cpu.max").read_text().split()
        memory = (group / "memory.max").read_text()
        cpuset = (group / "cpuset.cpus").read_text()
    else:
        cpu = _CGROUPS / "cpu" / groups["cpu"]
        quota, period = (cpu / "cpu.cfs_quota_us").read_text(), (cpu / "cpu.cfs_period_us").read_text()
        memory = (_CGROUPS / "memory" / groups["memory"] / "memory.limit_in_bytes").read_text()
        cpuset = (_CGROUPS / "cpuset" / groups["cpuset"] / "cpuset.cpus").read_text()
    return int(quota) / int(period), int(memory) // _MIB, cpuset.strip()
