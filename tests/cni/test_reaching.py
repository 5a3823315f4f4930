# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom: neighbours, the outside, published and exposed ports, and nobody else."""

import json
import socket
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from support.network_machine import (
    OUTSIDE,
    OUTSIDE6,
    UPLINK,
    UPLINK6,
    Machine,
    Namespace,
    echoing,
    machine,
    network_attachment,
    reach,
)
from zun.model.attachments import Port, PublishedPort

pytestmark = pytest.mark.network

SOON = 0.5
"""Seconds after which who was not reached is taken to be out of reach."""


def serving(namespace: Namespace, version: int = 4, port: int = 80) -> AbstractContextManager[None]:
    """Something answers inside a namespace while the block runs."""
    return echoing(namespace.socket(socket.SOCK_STREAM, "::" if version == 6 else "0.0.0.0", port))


def test_two_sandboxes_of_a_network_reach_each_other_by_both_versions(shared: Machine) -> None:
    one, other = shared.plugged(network_attachment(1, 1)), shared.plugged(network_attachment(1, 2))
    with serving(other.namespace):
        assert reach(one.namespace, "10.1.0.3", 80) == "10.1.0.2"
    with serving(other.namespace, 6):
        assert reach(one.namespace, "fd00:1::3", 80) == "fd00:1::2"


def test_a_sandbox_reaches_the_outside_under_the_machines_address(shared: Machine) -> None:
    one = shared.plugged(network_attachment(2, 1))
    with serving(shared.outside):
        assert reach(one.namespace, OUTSIDE, 80) == UPLINK
    with serving(shared.outside, 6):
        assert reach(one.namespace, OUTSIDE6, 80) == UPLINK6


def test_the_outside_does_not_reach_a_sandbox_by_its_own_address(shared: Machine) -> None:
    one = shared.plugged(network_attachment(3, 1))
    shared.outside.ip("route", "replace", "10.3.0.0/24", "via", UPLINK)
    shared.outside.ip("-6", "route", "replace", "fd00:3::/64", "via", UPLINK6)
    with serving(one.namespace):
        assert reach(shared.outside, "10.3.0.2", 80, SOON) is None
        assert reach(shared.host, "10.3.0.2", 80) == "10.3.0.1"  # the machine itself may, for health checks
    with serving(one.namespace, 6):
        assert reach(shared.outside, "fd00:3::2", 80, SOON) is None


def test_another_network_is_out_of_reach(shared: Machine) -> None:
    one, other = shared.plugged(network_attachment(4, 1)), shared.plugged(network_attachment(5, 1))
    with serving(other.namespace):
        assert reach(one.namespace, "10.5.0.2", 80, SOON) is None
    with serving(other.namespace, 6):
        assert reach(one.namespace, "fd00:5::2", 80, SOON) is None


def test_one_that_is_on_two_networks_does_not_join_them(shared: Machine) -> None:
    shared.plugged(network_attachment(6, 1), network_attachment(7, 1, ifname="eth1"))
    one, other = shared.plugged(network_attachment(6, 2)), shared.plugged(network_attachment(7, 2))
    with serving(other.namespace):
        assert reach(one.namespace, "10.7.0.3", 80, SOON) is None


def test_several_interfaces_reach_each_its_own_network(shared: Machine) -> None:
    both = shared.plugged(network_attachment(8, 1), network_attachment(9, 1, ifname="eth1"))
    one, other = shared.plugged(network_attachment(8, 2)), shared.plugged(network_attachment(9, 2))
    with serving(one.namespace), serving(other.namespace):
        assert reach(both.namespace, "10.8.0.3", 80) == "10.8.0.2"
        assert reach(both.namespace, "10.9.0.3", 80) == "10.9.0.2"


def test_services_of_the_machine_are_out_of_reach(shared: Machine) -> None:
    one = shared.plugged(network_attachment(10, 1))
    with serving(shared.host):
        for address in ("10.10.0.1", UPLINK):
            assert reach(one.namespace, address, 80, SOON) is None
    with serving(shared.host, 6):
        for address in ("fd00:a::1", UPLINK6):
            assert reach(one.namespace, address, 80, SOON) is None
    one.namespace.run("busybox", "ping", "-c", "1", "-W", "5", "10.10.0.1")
    one.namespace.run("busybox", "ping", "-6", "-c", "1", "-W", "5", "fd00:a::1")


def test_services_of_the_machine_but_never_its_loopback_are_open_when_its_operator_says_so(
    tmp_path: Path, needs_root: None
) -> None:
    with machine(tmp_path, "host_access = true") as made:
        one = made.plugged(network_attachment(1, 1))
        with serving(made.host):
            assert reach(one.namespace, UPLINK, 80) is not None
        one.namespace.ip("addr", "flush", "dev", "lo")
        one.namespace.ip("route", "add", "127.0.0.0/8", "via", "10.1.0.1")
        one.namespace.do(lambda: Path("/proc/sys/net/ipv4/conf/eth0/route_localnet").write_text("1"))
        with echoing(made.host.socket(socket.SOCK_STREAM, "127.0.0.1", 81)):
            assert reach(one.namespace, "127.0.0.1", 81, SOON) is None


def test_bridges_of_others_on_the_machine_are_out_of_reach(shared: Machine) -> None:
    one = shared.plugged(network_attachment(12, 1))
    shared.host.ip("link", "add", "docker9", "type", "bridge")
    shared.host.ip("link", "add", "neighbour", "type", "veth", "peer", "name", "other0", "netns", shared.outside.name)
    shared.host.ip("link", "set", "neighbour", "master", "docker9", "up")
    shared.host.ip("link", "set", "docker9", "up")
    shared.host.ip("addr", "add", "172.30.0.1/24", "dev", "docker9")
    shared.outside.ip("addr", "add", "172.30.0.2/24", "dev", "other0")
    shared.outside.ip("link", "set", "other0", "up")
    with serving(shared.outside), serving(one.namespace):
        assert reach(shared.host, "172.30.0.2", 80) == "172.30.0.1"
        assert reach(one.namespace, "172.30.0.2", 80, SOON) is None
        shared.outside.ip("route", "add", "10.12.0.0/24", "via", "172.30.0.1")
        assert reach(shared.outside, "10.12.0.2", 80, SOON) is None


def test_a_published_port_is_reached_from_everywhere(shared: Machine) -> None:
    one = shared.plugged(network_attachment(13, 1, published=(PublishedPort(8080, 80),)))
    neighbour, stranger = shared.plugged(network_attachment(13, 2)), shared.plugged(network_attachment(14, 1))
    with serving(one.namespace):
        assert reach(shared.outside, UPLINK, 8080) == OUTSIDE  # it sees who came
        assert reach(shared.host, "127.0.0.1", 8080) == "10.13.0.1"
        assert reach(shared.host, UPLINK, 8080) is not None
        assert reach(stranger.namespace, UPLINK, 8080) is not None
        assert reach(neighbour.namespace, UPLINK, 8080) is not None
        assert reach(one.namespace, UPLINK, 8080) is not None  # itself
        assert reach(stranger.namespace, "10.13.0.2", 80, SOON) is None
    with serving(one.namespace, 6):
        assert reach(shared.outside, UPLINK6, 8080) == OUTSIDE6
        assert reach(shared.host, UPLINK6, 8080) is not None
        assert reach(one.namespace, UPLINK6, 8080) is not None
    one.delete()
    with serving(neighbour.namespace):
        assert reach(shared.outside, UPLINK, 8080, SOON) is None


def test_a_port_published_on_loopback_is_not_reached_from_outside(shared: Machine) -> None:
    one = shared.plugged(network_attachment(15, 1, published=(PublishedPort(8082, 80, host_address="127.0.0.1"),)))
    with serving(one.namespace):
        assert reach(shared.host, "127.0.0.1", 8082) is not None
        assert reach(shared.outside, UPLINK, 8082, SOON) is None


def test_a_port_at_which_a_program_of_the_machine_listens_is_not_taken_from_it(shared: Machine) -> None:
    with serving(shared.host, port=8083):
        refused = shared.sandbox(network_attachment(21, 1, published=(PublishedPort(8083, 80),))).ask("ADD")
        assert refused.code != 0
        assert "Port 8083/tcp of this node is in use: another program listens there" in json.dumps(refused.told)
        assert reach(shared.outside, UPLINK, 8083) == OUTSIDE
    one = shared.plugged(network_attachment(21, 1, published=(PublishedPort(8083, 80),)))
    with serving(shared.host, port=8083):
        one.add()  # what is published already stays so


def test_datagrams_go_to_published_ports_and_back(shared: Machine) -> None:
    one = shared.plugged(network_attachment(16, 1, published=(PublishedPort(5300, 53, "udp"),)))
    with (
        one.namespace.socket(socket.SOCK_DGRAM, "0.0.0.0", 53) as server,
        shared.outside.socket(socket.SOCK_DGRAM, "0.0.0.0") as client,
    ):
        client.sendto(b"question", (UPLINK, 5300))
        asked, peer = server.recvfrom(100)
        server.sendto(b"answer", peer)
        assert (asked, client.recvfrom(100)) == (b"question", (b"answer", (UPLINK, 5300)))


def test_a_client_that_asked_before_a_port_was_published_is_heard_then(shared: Machine) -> None:
    one = shared.sandbox(network_attachment(19, 1, published=(PublishedPort(5301, 53, "udp"),)))
    with shared.outside.socket(socket.SOCK_DGRAM, "0.0.0.0") as client:
        client.sendto(b"too early", (UPLINK, 5301))
        one.add()
        with one.namespace.socket(socket.SOCK_DGRAM, "0.0.0.0", 53) as server:
            client.sendto(b"question", (UPLINK, 5301))
            assert server.recv(100) == b"question"


def test_who_talked_to_an_address_does_not_talk_to_its_next_owner(shared: Machine) -> None:
    one, neighbour = shared.plugged(network_attachment(20, 1)), shared.plugged(network_attachment(20, 2))
    with neighbour.namespace.socket(socket.SOCK_DGRAM, "0.0.0.0", 1000) as asker:
        with one.namespace.socket(socket.SOCK_DGRAM, "0.0.0.0", 1000) as asked:
            asked.sendto(b"hello", ("10.20.0.3", 1000))
            asker.sendto(b"hello", asker.recvfrom(100)[1])
            assert asked.recv(100) == b"hello"
        one.delete()
        later = shared.plugged(network_attachment(20, 1, exposed=(Port(7, "udp"),)))
        with later.namespace.socket(socket.SOCK_DGRAM, "0.0.0.0", 1000) as old_port:
            with later.namespace.socket(socket.SOCK_DGRAM, "0.0.0.0", 7) as open_port:
                asker.sendto(b"still there?", ("10.20.0.2", 1000))
                asker.sendto(b"good day", ("10.20.0.2", 7))
                assert open_port.recv(100) == b"good day"
            old_port.setblocking(False)
            with pytest.raises(BlockingIOError):
                old_port.recv(100)


def test_only_exposed_and_published_ports_are_open_when_any_are_named(shared: Machine) -> None:
    one = shared.plugged(
        network_attachment(17, 1, exposed=(Port(80), Port(53, "udp")), published=(PublishedPort(8443, 443),))
    )
    neighbour = shared.plugged(network_attachment(17, 2))
    for version, address in ((4, "10.17.0.2"), (6, "fd00:11::2")):
        with serving(one.namespace, version), serving(one.namespace, version, 443), serving(one.namespace, version, 22):
            assert reach(neighbour.namespace, address, 80) is not None
            assert reach(neighbour.namespace, address, 443) is not None
            assert reach(neighbour.namespace, address, 22, SOON) is None
            assert reach(shared.host, address, 22) is not None  # probes come from the machine, to any port
    with serving(neighbour.namespace):
        assert reach(one.namespace, "10.17.0.3", 80) is not None  # answers to what it asks come back
    with serving(neighbour.namespace, 6):
        assert reach(one.namespace, "fd00:11::3", 80) is not None


def test_a_network_without_a_gateway_leads_nowhere_else(shared: Machine) -> None:
    bare = network_attachment(18, 1, v6=False)
    addresses = tuple(type(one)(one.addr, one.prefix) for one in bare.addresses)
    one = shared.plugged(type(bare)(network=bare.network, ifname="eth0", mac=bare.mac, addresses=addresses))
    assert [route["dst"] for route in one.namespace.ip("route")] == ["10.18.0.0/24"]
    assert one.namespace.ip("-6", "addr", "show", "dev", "eth0") in (None, [], [{}])
