# SPDX-License-Identifier: Apache-2.0
"""The cluster's machines are machines: apart from each other and from the host, and hurt as real ones are."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.conftest import temporary
from lab import etcd
from lab.cluster import Cluster
from lab.hosts import LabError
from lab.processes import descendants, started_at
from support.service import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

IMAGE = "zun.local/busybox:latest"
OK = 200


@pytest.fixture
def client(cluster: Cluster) -> Iterator[httpx.Client]:
    """Asks the API as a user on the host does."""
    token = json.loads((cluster.directory / "local.json").read_text())["token"]
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "container 1.40"}
    with httpx.Client(base_url=cluster.url, headers=headers, timeout=30) as made:
        yield made


def run(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """Create a container and wait until it runs."""
    body = {"image": IMAGE, "command": ["sleep", "100000"], "memory": 16, "cpu": 0.1} | fields
    uuid = client.post("/v1/containers", params={"run": "true"}, json=body).json()["uuid"]

    def running() -> dict[str, Any] | None:
        view = client.get(f"/v1/containers/{uuid}").json()
        return view if view["status"] == "Running" else None

    return dict(eventually(running, f"container {uuid} runs"))


def engine_names(cluster: Cluster, node: str) -> list[str]:
    """What the engine of a node has."""
    return cluster.machines[node].run("docker", "ps", "--all", "--format", "{{.Names}}").split()


def reaches(cluster: Cluster, one: str, other: str) -> bool:
    """Whether one etcd machine gets an answer from another."""
    try:
        cluster.machines[one].connect(etcd.PEER_PORT, 1, cluster.machines[other].host.address).close()
    except OSError:
        return False
    return True


def test_containers_run_on_every_node_and_each_engine_has_its_own(cluster: Cluster, client: httpx.Client) -> None:
    views = [run(client) for _ in range(6)]
    assert {view["host"] for view in views} == {"node1", "node2", "node3"}
    for node in ("node1", "node2", "node3"):
        mine = sorted(f"zun-{view['uuid']}" for view in views if view["host"] == node)
        assert sorted(name for name in engine_names(cluster, node) if name in mine) == mine
        assert not {f"zun-{view['uuid']}" for view in views if view["host"] != node} & set(engine_names(cluster, node))
    for view in views:
        assert client.delete(f"/v1/containers/{view['uuid']}", params={"force": "true"}).status_code == 204


def test_the_host_reaches_nothing_but_the_balancer(cluster: Cluster) -> None:
    for what in ("address", "route"):
        shown = subprocess.run(["ip", what, "show"], capture_output=True, text=True, check=True).stdout
        assert not [line for line in shown.splitlines() if "10.99.0." in line]
    assert httpx.get(f"{cluster.url}/healthcheck", timeout=5).status_code == OK


def test_bringing_up_what_is_up_changes_nothing(cluster: Cluster) -> None:
    before = {name: machine.status() for name, machine in cluster.machines.items()}
    again = Cluster(cluster.directory)
    again.up()
    assert {name: machine.status() for name, machine in again.machines.items()} == before


def test_a_machine_that_is_cut_off_hears_nobody_until_it_is_healed(cluster: Cluster) -> None:
    assert reaches(cluster, "etcd1", "etcd2")
    cluster.cut("etcd2")
    assert not reaches(cluster, "etcd1", "etcd2")
    assert not reaches(cluster, "etcd2", "etcd3")
    assert reaches(cluster, "etcd1", "etcd3")
    cluster.heal()
    assert reaches(cluster, "etcd1", "etcd2")


def test_two_machines_that_are_cut_from_each_other_reach_the_others(cluster: Cluster) -> None:
    cluster.cut("etcd1", "etcd2")
    assert not reaches(cluster, "etcd1", "etcd2")
    assert not reaches(cluster, "etcd2", "etcd1")
    assert reaches(cluster, "etcd3", "etcd2")
    cluster.heal("etcd2")
    assert reaches(cluster, "etcd1", "etcd2")


def test_without_power_containers_end_and_disks_stay(cluster: Cluster, client: httpx.Client) -> None:
    view = run(client)
    node = cluster.machines[view["host"]]
    before = list(descendants(node.pid))
    cluster.kill9(node.name)
    assert node.pid == 0
    assert not [pid for pid in before if started_at(pid)]
    cluster.start(node.name)
    assert f"zun-{view['uuid']}" in engine_names(cluster, node.name)
    eventually(lambda: client.get(f"/v1/containers/{view['uuid']}").json()["status"] == "Stopped", "its end is seen")
    assert client.delete(f"/v1/containers/{view['uuid']}", params={"force": "true"}).status_code == 204


def test_the_api_goes_on_when_one_of_its_machines_is_without_power(cluster: Cluster, client: httpx.Client) -> None:
    cluster.kill9("control1")
    try:
        eventually(lambda: client.get("/v1/containers").status_code == OK, "the other one answers")
    finally:
        cluster.start("control1")


def test_with_the_whole_store_away_reads_are_still_answered_with_a_warning(
    cluster: Cluster, client: httpx.Client
) -> None:
    view = run(client)
    shown = f"/v1/containers/{view['uuid']}"
    for member in ("etcd1", "etcd2", "etcd3"):
        cluster.freeze(f"{member}/etcd")
    try:
        eventually(lambda: _unwell(cluster), "all API servers are out of the balancing")
        answer = client.get(shown)
        assert (answer.status_code, answer.json()["name"]) == (OK, view["name"])
        assert answer.headers["Warning"].startswith("110")
        refused = client.delete(shown, params={"force": "true"})
        assert (refused.status_code, "store" in refused.text) == (503, True)
    finally:
        for member in ("etcd1", "etcd2", "etcd3"):
            cluster.thaw(f"{member}/etcd")
    eventually(lambda: "Warning" not in client.get(shown).headers, "the store is back")
    eventually(lambda: client.delete(shown, params={"force": "true"}).status_code == 204, "it is deleted")


_SHOW_STAT = """
import socket
asked = socket.socket(socket.AF_UNIX)
asked.connect("/run/haproxy.sock")
asked.sendall(b"show stat\\n")
print(asked.makefile().read())
"""


def _unwell(cluster: Cluster) -> bool:
    """Whether no API server counts as well."""
    rows = cluster.machines["lb"].run(sys.executable, "-c", _SHOW_STAT).splitlines()
    states = [row.split(",")[17] for row in rows if row.startswith("api,control")]
    return len(states) == 2 and set(states) == {"DOWN"}


def test_a_frozen_process_goes_on_where_it_stood(cluster: Cluster) -> None:
    cluster.freeze("node1/dockerd")
    with pytest.raises(subprocess.TimeoutExpired):
        cluster.machines["node1"].run("docker", "ps", timeout=1)
    cluster.thaw("node1/dockerd")
    assert engine_names(cluster, "node1") is not None


def test_a_target_that_is_not_there_is_named_with_those_that_are(cluster: Cluster) -> None:
    with pytest.raises(LabError, match=r"There is no node9/dockerd .* node1/dockerd"):
        cluster.kill9("node9/dockerd")


def test_nothing_is_left_of_a_cluster_that_was_taken_down() -> None:
    with temporary("gone") as made:
        made.up()
        made.machines["node1"].run("docker", "run", "--detach", IMAGE, "sleep", "1000")
        processes = [pid for machine in made.machines.values() for pid in (machine.pid, *descendants(machine.pid))]
        assert len(processes) > 20
    assert not made.directory.exists()
    assert made.prefix not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert str(made.directory) not in Path("/proc/self/mounts").read_text()
    assert not [pid for pid in processes if started_at(pid)]
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{made.prefix}"))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", made.port), timeout=1)
