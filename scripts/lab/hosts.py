# SPDX-License-Identifier: Apache-2.0
"""Which machines there are, and their addresses. These exist only inside the cluster's own network namespaces."""

from dataclasses import dataclass
from pathlib import Path


class LabError(Exception):
    """Something the person at the terminal should read: one sentence, and what to do about it."""


@dataclass(frozen=True)
class Host:
    """One machine of the plan."""

    name: str
    address: str
    role: str  # etcd, control, balancer or node


PREFIX_LENGTH = 24
API_PORT = 9517
STREAM_PORT = 9518
GATE_PORT = 9519
HOSTS = (
    Host("lb", "10.99.0.10", "balancer"),
    Host("etcd1", "10.99.0.11", "etcd"),
    Host("etcd2", "10.99.0.12", "etcd"),
    Host("etcd3", "10.99.0.13", "etcd"),
    Host("control1", "10.99.0.21", "control"),
    Host("control2", "10.99.0.22", "control"),
    Host("node1", "10.99.0.31", "node"),
    Host("node2", "10.99.0.32", "node"),
    Host("node3", "10.99.0.33", "node"),
)


def with_role(role: str) -> list[Host]:
    """Give the machines of one kind, in order."""
    return [host for host in HOSTS if host.role == role]


def hosts_file() -> str:
    """Give the `/etc/hosts` that every machine has, so that they know each other by name."""
    lines = ["127.0.0.1 localhost", "::1 localhost", *(f"{host.address} {host.name}" for host in HOSTS)]
    return "\n".join(lines) + "\n"


def tail(path: Path, lines: int = 15) -> str:
    """Give the last lines of a log, indented for an error message; a log that is not there is empty."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return "\n".join(f"     | {line}" for line in text.splitlines()[-lines:])
