# SPDX-License-Identifier: Apache-2.0
"""A node's engine: a containerd and a dockerd of its own. Both live in the machine's namespaces, never in the host's."""

import sys
from pathlib import Path

from lab import control_groups
from lab.machine import Machine
from lab.processes import Process, connect_unix, get

SOCKET = "/run/docker.sock"
_CONTAINERD = "/run/containerd/containerd.sock"
_BUILD_IMAGE = Path(__file__).resolve().parent.parent / "build-image"
_OK = 200


def furnish(machine: Machine) -> None:
    """Keep the host's settings of an engine away from this one."""
    machine.write("/etc/docker/daemon.json", "{}\n")
    machine.write("/etc/containerd/config.toml", 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')


def processes(machine: Machine) -> list[Process]:
    """Give containerd and dockerd, in the order they start."""
    group = control_groups.parent(machine.network.prefix, machine.name)
    dockerd = [
        *("dockerd", "--host", f"unix://{SOCKET}", "--containerd", _CONTAINERD, "--live-restore"),
        *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", group),
    ]
    containerd = ["containerd", "--address", _CONTAINERD, "--log-level", "warn"]
    return [
        Process("containerd", containerd, ready=lambda: _listens(machine)),
        Process("dockerd", [*dockerd, "--log-level", "warn"], ready=lambda: answers(machine)),
    ]


def answers(machine: Machine) -> bool:
    """Whether the node's engine answers."""
    status, body = get(lambda timeout: connect_unix(machine.path(SOCKET), timeout), "/_ping")
    return status == _OK and body == b"OK"


def load_images(machine: Machine) -> None:
    """Have the local images in the node's engine: there is no registry to pull from."""
    machine.run(sys.executable, _BUILD_IMAGE)


def _listens(machine: Machine) -> bool:
    try:
        connect_unix(machine.path(_CONTAINERD), 1).close()
    except OSError:
        return False
    return True
