# SPDX-License-Identifier: Apache-2.0
"""Certificates in a whole cluster: nodes joined with a token and have no way into etcd; certificates are replaced while everything runs."""

import json
import ssl
from collections.abc import Iterator

import httpx
import pytest

from lab import authorities, etcd
from lab.cluster import Cluster
from lab.hosts import GATE_PORT, LabError
from lab.machine import Machine
from support.service import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

STATE = "/var/lib/zun-node"


@pytest.fixture
def client(cluster: Cluster) -> Iterator[httpx.Client]:
    """Asks the API as its administrator on the host does."""
    token = json.loads((cluster.directory / "local.json").read_text())["token"]
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "container 1.40"}
    with httpx.Client(base_url=cluster.url, headers=headers, timeout=60) as made:
        yield made


def shown_certificate(machine: Machine, port: int) -> bytes:
    """What a server on the machine shows of itself to a stranger."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(machine.connect(port, 5)) as line:
        return line.getpeercert(binary_form=True) or b""


def nodes_that_are_up(client: httpx.Client) -> set[str]:
    """By name."""
    return {node["name"] for node in client.get("/v1/nodes").json()["nodes"] if node["state"] == "up"}


def read_etcd(machine: Machine, certificate: str, key: str) -> str:
    """The first key that etcd shows to who has these files. Raises `LabError` when it shows none."""
    given = ("--cert", certificate, "--key", key, "--insecure-skip-tls-verify")
    ask = ("get", "/zun", "--prefix", "--keys-only", "--limit=1", "--command-timeout=5s")
    return machine.run("etcdctl", "--endpoints", etcd.endpoints()[0], *given, *ask, ETCDCTL_API="3")


def test_a_node_cannot_use_etcd_with_what_it_got_when_it_joined(cluster: Cluster) -> None:
    control, node = cluster.machines["control1"], cluster.machines["node1"]
    assert read_etcd(control, "/var/lib/zun/store.pem", "/var/lib/zun/store.key").startswith("/zun/")
    with pytest.raises(LabError, match=r"certificate|deadline|handshake"):
        read_etcd(node, f"{STATE}/node.pem", f"{STATE}/node.pem")
    assert not [
        path.name
        for path in node.disk("zun-node").iterdir()
        if path.name.startswith(("ca.k", "store.pem", "store.key", "etcd"))
    ]


def test_new_certificates_are_used_and_nobody_is_disturbed(cluster: Cluster, client: httpx.Client) -> None:
    first = cluster.machines["control1"]
    ports = {"etcd": etcd.CLIENT_PORT, "control": GATE_PORT}
    changed = [machine for role in ports for machine in cluster.with_role(role)]
    before = {machine.name: shown_certificate(machine, ports[machine.host.role]) for machine in changed}
    for machine in changed:
        authorities.certify(first, machine)
    for machine in changed:

        def renewed(machine: Machine = machine) -> bool:
            return shown_certificate(machine, ports[machine.host.role]) != before[machine.name]

        eventually(renewed, f"{machine.name} shows its new certificate")
    assert nodes_that_are_up(client) == {"node1", "node2", "node3"}


def test_a_node_whose_disk_was_lost_takes_its_own_place_with_a_new_token(
    cluster: Cluster, client: httpx.Client
) -> None:
    cluster.stop("node3/compute")
    node = cluster.machines["node3"]
    old = (node.disk("zun-node") / "node.pem").read_text()
    node.run("sh", "-c", f"rm -r {STATE}/*")
    (node.directory / "join-token").unlink()
    cluster.up()
    assert (node.disk("zun-node") / "node.pem").read_text() != old
    eventually(lambda: nodes_that_are_up(client) == {"node1", "node2", "node3"}, "it is up under its name")
