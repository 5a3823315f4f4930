# SPDX-License-Identifier: Apache-2.0
"""A tenant who owns a sandbox, root inside it, and wants to be somebody else on its network."""

import socket
from collections.abc import Iterator

import pytest

from support.network_machine import Machine, Namespace, Sandbox, network_attachment

pytestmark = pytest.mark.network

Pair = tuple[Sandbox, Sandbox]
BROADCAST = "ff:ff:ff:ff:ff:ff"
_ETH_P_ALL = 0x0003
_next_network = iter(range(1, 200))


@pytest.fixture
def pair(shared: Machine) -> Iterator[tuple[Sandbox, Sandbox, int]]:
    """An attacker (10.n.0.2) and a victim (10.n.0.3) on one network."""
    number = next(_next_network)
    attacker, victim = shared.plugged(network_attachment(number, 1)), shared.plugged(network_attachment(number, 2))
    yield attacker, victim, number
    attacker.delete()
    victim.delete()


def wire(namespace: Namespace) -> socket.socket:
    """All frames of eth0, in and out."""

    def opened() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        made.bind(("eth0", _ETH_P_ALL))
        made.settimeout(10)
        return made

    return namespace.do(opened)


def frame(destination: str, source: str, kind: int, payload: bytes) -> bytes:
    """An Ethernet frame."""
    return _mac(destination) + _mac(source) + kind.to_bytes(2, "big") + payload


def arp(sender_mac: str, sender: str, target: str, *, operation: int = 2) -> bytes:
    """An ARP message: `sender` is at `sender_mac`."""
    head = bytes.fromhex("0001080006040000")[:-2] + operation.to_bytes(2, "big")
    return head + _mac(sender_mac) + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target)


def ipv4(source: str, destination: str, words: bytes) -> bytes:
    """A UDP datagram without checksum in an IPv4 packet."""
    udp = (9).to_bytes(2, "big") + (9).to_bytes(2, "big") + (8 + len(words)).to_bytes(2, "big") + bytes(2) + words
    head = bytes.fromhex("4500") + (20 + len(udp)).to_bytes(2, "big") + bytes.fromhex("0000000040110000")
    head += socket.inet_aton(source) + socket.inet_aton(destination)
    return head[:10] + _checksum(head) + head[12:] + udp


def ipv6(source: str, destination: str, payload: bytes, header: int = 58) -> bytes:
    """An IPv6 packet; ICMPv6 unless told otherwise."""
    source_, destination_ = (socket.inet_pton(socket.AF_INET6, one) for one in (source, destination))
    if header == 58:
        pseudo = source_ + destination_ + len(payload).to_bytes(4, "big") + bytes([0, 0, 0, 58])
        payload = payload[:2] + _checksum(pseudo + payload) + payload[4:]
    return (
        bytes.fromhex("60000000")
        + len(payload).to_bytes(2, "big")
        + bytes([header, 255])
        + source_
        + destination_
        + payload
    )


def advertisement(target: str, mac: str) -> bytes:
    """A neighbour advertisement: `target` is at `mac`."""
    return bytes.fromhex("8800000020000000") + socket.inet_pton(socket.AF_INET6, target) + bytes([2, 1]) + _mac(mac)


def passes(attacker: Sandbox, victim: Sandbox, number: int, sent: bytes) -> bool:
    """Whether a frame of the attacker arrives. An honest one is sent after it: when that is there, the other one never comes."""
    honest = frame(BROADCAST, _own(number), 0x0800, ipv4(f"10.{number}.0.2", "255.255.255.255", b"honest words"))
    with wire(victim.namespace) as ear, wire(attacker.namespace) as mouth:
        mouth.send(sent)
        mouth.send(honest)
        while True:
            heard = ear.recv(65536)
            if heard[: len(sent)] == sent:
                return True
            if b"honest words" in heard:
                return False


def test_honest_frames_pass(pair: tuple[Sandbox, Sandbox, int]) -> None:
    attacker, victim, n = pair
    own, own_ll = _own(n), f"fe80::{n:x}ff:fe00:2"
    for sent in (
        frame(BROADCAST, own, 0x0800, ipv4(f"10.{n}.0.2", f"10.{n}.0.3", b"words")),
        frame(BROADCAST, own, 0x0806, arp(own, f"10.{n}.0.2", f"10.{n}.0.3")),
        frame(BROADCAST, own, 0x86DD, ipv6(own_ll, f"fd00:{n:x}::3", advertisement(f"fd00:{n:x}::2", own))),
    ):
        assert passes(attacker, victim, n, sent), sent.hex()


@pytest.mark.parametrize("case", range(14))
def test_nobody_can_be_somebody_else(pair: tuple[Sandbox, Sandbox, int], case: int) -> None:
    attacker, victim, n = pair
    own, other = _own(n), f"02:00:{n:02x}:00:00:03"
    v4, gateway, v6, ll = f"10.{n}.0.2", f"10.{n}.0.1", f"fd00:{n:x}::2", f"fe80::{n:x}ff:fe00:2"
    target4, target6 = f"10.{n}.0.3", f"fd00:{n:x}::3"
    lies = [
        frame(BROADCAST, other, 0x0800, ipv4(v4, target4, b"another's MAC")),
        frame(BROADCAST, own, 0x0800, ipv4(f"10.{n}.0.77", target4, b"another's address")),
        frame(BROADCAST, own, 0x0800, ipv4(gateway, target4, b"the gateway's address")),
        frame(BROADCAST, own, 0x0800, ipv4("127.0.0.1", target4, b"loopback")),
        frame(BROADCAST, own, 0x0806, arp(own, gateway, target4)),
        frame(BROADCAST, own, 0x0806, arp(own, "0.0.0.0", target4)),
        frame(BROADCAST, own, 0x0806, arp(other, v4, target4)),
        frame(BROADCAST, own, 0x86DD, ipv6(f"fd00:{n:x}::77", target6, b"\x80\x00\x00\x00\x00\x00\x00\x00")),
        frame(BROADCAST, own, 0x86DD, ipv6("fe80::1", target6, b"\x80\x00\x00\x00\x00\x00\x00\x00")),
        frame(BROADCAST, own, 0x86DD, ipv6(v6, target6, advertisement(f"fd00:{n:x}::1", own))),
        frame(BROADCAST, own, 0x86DD, ipv6(ll, "ff02::1", bytes.fromhex("86000000400807080000000000000000"))),
        frame(BROADCAST, own, 0x86DD, ipv6(ll, target6, bytes.fromhex("89000000") + bytes(36))),
        frame(BROADCAST, own, 0x8100, b"\x00\x05\x08\x00" + ipv4(gateway, target4, b"behind a VLAN tag")),
        frame("01:80:c2:00:00:00", own, 0x0027, bytes(39)),
    ]
    assert not passes(attacker, victim, n, lies[case])


def test_an_advertisement_behind_another_header_is_seen_through(pair: tuple[Sandbox, Sandbox, int]) -> None:
    attacker, victim, n = pair
    icmp = ipv6(f"fd00:{n:x}::2", f"fd00:{n:x}::3", advertisement(f"fd00:{n:x}::1", _own(n)))[40:]
    hop_by_hop = bytes([58, 0, 1, 4, 0, 0, 0, 0])
    packet = ipv6(f"fd00:{n:x}::2", f"fd00:{n:x}::3", hop_by_hop + icmp, header=0)
    assert not passes(attacker, victim, n, frame(BROADCAST, _own(n), 0x86DD, packet))


def test_an_address_that_was_not_allocated_is_of_no_use(pair: tuple[Sandbox, Sandbox, int]) -> None:
    attacker, victim, n = pair
    attacker.namespace.ip("addr", "add", f"10.{n}.0.50/24", "dev", "eth0")
    with victim.namespace.socket(socket.SOCK_DGRAM, "0.0.0.0", 7) as ear:
        for address in (f"10.{n}.0.50", f"10.{n}.0.2"):
            with attacker.namespace.socket(socket.SOCK_DGRAM, address) as mouth:
                mouth.sendto(address.encode(), (f"10.{n}.0.3", 7))
        assert ear.recv(100) == f"10.{n}.0.2".encode()


def _own(number: int) -> str:
    return f"02:00:{number:02x}:00:00:02"


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _checksum(data: bytes) -> bytes:
    data += bytes(len(data) % 2)
    total = sum(int.from_bytes(data[index : index + 2], "big") for index in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")
