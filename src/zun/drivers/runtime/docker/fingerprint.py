# SPDX-License-Identifier: Apache-2.0
"""What a Docker engine says of itself, in our words."""

import os
from pathlib import Path
from typing import Any

from zun.drivers.runtime.types import Capability, Fingerprint
from zun.model.records import NetworkInfo

_MIB = 1 << 20
_GIB = 1 << 30
_QUOTA_DRIVERS = frozenset({"devicemapper", "btrfs", "zfs", "windowsfilter"})
_MOUNTS = Path("/proc/mounts")

CONDITIONAL = {
    Capability.DISK_QUOTA: "on overlay2 over xfs with project quota, or with devicemapper, btrfs, zfs",
    Capability.CAPSULES: "where the engine has the image `[docker] sandbox_image`",
    Capability.SANDBOXED_CAPSULES: "where `[docker] sandboxed_capsules` says that its runtimes share a network",
    Capability.CPUSET: "where the kernel has cpusets",
    Capability.PORT_FORWARD: "where the node runs as root beside its engine (a Unix socket)",
}
"""What not every Docker engine can do. All else every one can."""


def fingerprint(
    info: dict[str, Any], networks: tuple[NetworkInfo, ...], *, capsules: bool, sandboxed: bool, here: bool
) -> Fingerprint:
    """From the engine's own account and its networks; `capsules`: it has what their sandboxes are made from; `sandboxed`: its sandboxed runtimes
    let containers share a network; `here`: its containers can be looked into."""
    lacking = set()
    if not here:
        lacking.add(Capability.PORT_FORWARD)
    if not capsules:
        lacking.add(Capability.CAPSULES)
    if not (capsules and sandboxed):
        lacking.add(Capability.SANDBOXED_CAPSULES)
    if not supports_disk_quota(info):
        lacking.add(Capability.DISK_QUOTA)
    if not info.get("CPUSet", True):
        lacking.add(Capability.CPUSET)
    return Fingerprint(
        engine="docker",
        engine_version=info["ServerVersion"],
        cpus=info["NCPU"],
        memory_total_mib=info["MemTotal"] // _MIB,
        disk_total_gib=_disk_total_gib(info.get("DockerRootDir", "")),
        architecture=info["Architecture"],
        os_type=info["OSType"],
        os=info["OperatingSystem"],
        kernel_version=info["KernelVersion"],
        hostname=info["Name"],
        labels=dict(label.partition("=")[::2] for label in info.get("Labels") or ()),
        runtimes=sorted(info.get("Runtimes") or {}),
        default_runtime=info.get("DefaultRuntime", ""),
        capabilities=frozenset(Capability) - lacking,
        networks=networks,
    )


def supports_disk_quota(info: dict[str, Any], mounts: Path = _MOUNTS) -> bool:
    """Whether the engine can bound a container's disk space: by its storage driver, or overlay2 on xfs with project quota."""
    if info["Driver"] in _QUOTA_DRIVERS:
        return True
    backing = dict(pair for pair in info.get("DriverStatus") or () if len(pair) == 2).get("Backing Filesystem")
    if info["Driver"] != "overlay2" or backing != "xfs":
        return False
    return _has_project_quota(info.get("DockerRootDir", ""), mounts)


def _has_project_quota(root: str, mounts: Path) -> bool:
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return False  # the engine is on another machine, and cannot be asked
    below = [line for line in lines if (root.rstrip("/") + "/").startswith(line[1].rstrip("/") + "/")]
    options = max(below, key=lambda line: len(line[1]))[3].split(",") if below else []
    return bool({"prjquota", "pquota"} & set(options))


def _disk_total_gib(root: str) -> int:
    try:
        disk = os.statvfs(root)
    except OSError:
        return 0  # the engine is on another machine
    return disk.f_blocks * disk.f_frsize // _GIB
