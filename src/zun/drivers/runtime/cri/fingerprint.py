# SPDX-License-Identifier: Apache-2.0
"""What a CRI engine says of itself and its machine, in our words. The engine is always on this machine: its socket is a local one."""

import json
import os
import platform
from pathlib import Path
from typing import Any

from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.host.cgroups import memory_of_machine
from zun.drivers.runtime.types import Capability, Fingerprint
from zun.model.records import NetworkInfo

_MIB = 1 << 20
_GIB = 1 << 30
_OS_RELEASE = Path("/etc/os-release")

CAPABILITIES = frozenset(
    {
        Capability.CAPSULES,
        Capability.SANDBOXED_CAPSULES,
        Capability.EXEC,
        Capability.ATTACH,
        Capability.LIVE_RESIZE,
        Capability.PRIVILEGED,
        Capability.VOLUMES,
        Capability.CPUSET,
        Capability.CHANGE_IMAGE,
        Capability.PORT_FORWARD,
        Capability.PUBLISH,
    }
)
"""What containers on a CRI engine can have. It has no words for pausing, committing, networks of choice, health checks and disk space."""

CONDITIONAL = {
    Capability.PUBLISH: "where its CNI configuration has the plugin portmap, or the service plugs in: `[network] driver = cni`"
}
"""What of this not every one has."""


def fingerprint(
    version: cri.VersionResponse, status: cri.StatusResponse, networks: tuple[NetworkInfo, ...], *, maps_ports: bool
) -> Fingerprint:
    """From the engine's own account and the machine; `maps_ports`: its plugins see to ports of the machine."""
    config = engine_config(status)
    machine = platform.uname()
    return Fingerprint(
        engine=version.runtime_name,
        engine_version=version.runtime_version,
        cpus=os.cpu_count() or 1,
        memory_total_mib=memory_of_machine() // _MIB,
        disk_total_gib=_disk_total_gib(config.get("containerdRootDir", "")),
        architecture=machine.machine,
        os_type="linux",
        os=_os_name(),
        kernel_version=machine.release,
        hostname=machine.node,
        labels={},
        runtimes=handlers(config),
        default_runtime=default_handler(config),
        capabilities=CAPABILITIES if maps_ports else CAPABILITIES - {Capability.PUBLISH},
        networks=networks,
    )


def engine_config(status: cri.StatusResponse) -> dict[str, Any]:
    """The engine's configuration, as a verbose status has it; empty for engines that do not tell."""
    found: dict[str, Any] = json.loads(status.info.get("config") or "{}")
    return found


def handlers(config: dict[str, Any]) -> list[str]:
    """The runtime handlers by name."""
    return sorted((config.get("containerd") or {}).get("runtimes") or {})


def default_handler(config: dict[str, Any]) -> str:
    """The handler of sandboxes that ask for none."""
    return (config.get("containerd") or {}).get("defaultRuntimeName") or ""


def _os_name() -> str:
    try:
        lines = _OS_RELEASE.read_text().splitlines()
    except OSError:
        return "Linux"
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    return told.get("PRETTY_NAME", "Linux").strip('"')


def _disk_total_gib(root: str) -> int:
    try:
        disk = os.statvfs(root or "/")
    except OSError:
        return 0
    return disk.f_blocks * disk.f_frsize // _GIB
