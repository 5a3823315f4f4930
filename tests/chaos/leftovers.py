# SPDX-License-Identifier: Apache-2.0
"""When every container is deleted: nothing of them may be left, in the store, in the engines, or on the hosts' disks."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from chaos.load import NETWORK, look
from lab import etcd
from lab.cluster import Cluster
from lab.machine import Machine
from lab.processes import descendants
from support.store_keys import BELONGS

GONE_SECONDS = 120
_LOOK_SECONDS = 0.3
_UNBORN = "runc init"


def clear(http: httpx.Client) -> Iterator[str]:
    """Delete every container there is."""
    deadline = time.monotonic() + GONE_SECONDS
    while (views := look(http)) and time.monotonic() < deadline:
        for uuid, view in views.items():
            if view["status"] == "Paused":
                http.post(f"/v1/containers/{uuid}/unpause")
            http.delete(f"/v1/containers/{uuid}", params={"force": "true"})
        time.sleep(_LOOK_SECONDS)
    for uuid, view in views.items():
        yield f"{view['name']} ({uuid}) cannot be deleted: {view['status']}, {view['task_state']} ({view['status_reason']})"


def find_left(cluster: Cluster) -> list[str]:
    """What is left, given some time to go."""
    deadline = time.monotonic() + GONE_SECONDS
    while (found := list(_left(cluster))) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return found


def _left(cluster: Cluster) -> Iterator[str]:
    yield from _in_store(cluster)
    for node in cluster.with_role("node"):
        yield from _on_disk(node)
        yield from _processes(node)
        if cluster.runtime == "docker":
            yield from _in_engine(node)


def _in_store(cluster: Cluster) -> Iterator[str]:
    first = cluster.with_role("control")[0]
    files = (
        "--cacert",
        "/var/lib/zun/etcd-ca.pem",
        "--cert",
        "/var/lib/zun/store.pem",
        "--key",
        "/var/lib/zun/store.key",
    )
    words = ("etcdctl", "--endpoints", ",".join(etcd.endpoints()), *files)
    keys = first.run(*words, "get", "/zun", "--prefix", "--keys-only", ETCDCTL_API="3").split()
    yield from (f"{key} is left in the store" for key in keys if not BELONGS.fullmatch(key))


def _on_disk(node: Machine) -> Iterator[str]:
    state = node.disk("zun-node")
    for path in [*(state / "files").glob("*"), *(state / "watchdog").glob("*-*-*-*-*")]:
        yield f"{path.relative_to(state)} is left on {node.name}"


def _processes(node: Machine) -> Iterator[str]:
    """One watchdog, and no process of a container that is gone.

    A containerd that is killed while it makes a container leaves an empty shim, or one whose `runc init` waits for ever to become
    the container; dockerd knows nothing of them. That is the engine's own affair.
    """
    commands = {pid: _command(pid) for pid in descendants(node.pid)}
    watchdogs = sum("watchdog.py" in command for command in commands.values())
    if watchdogs > 1:
        yield f"{watchdogs} watchdogs run on {node.name}"
    for pid, command in commands.items():
        inside = [_command(child) for child in descendants(pid)] if "containerd-shim" in command else []
        if any(not child.startswith(_UNBORN) for child in inside):
            yield f"`{command[:110]}` runs on {node.name} with {inside}"


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _in_engine(node: Machine) -> Iterator[str]:
    for kind, words in {
        "object": ("ps", "--all", "--quiet"),
        "volume": ("volume", "ls", "--quiet"),
        "network": ("network", "ls", "--quiet", "--filter", "type=custom", "--format", "{{.Name}}"),
    }.items():
        for name in node.run("docker", *words).split():
            if name != NETWORK:
                yield f"the {kind} {name} is left in the engine of {node.name}"
