# SPDX-License-Identifier: Apache-2.0
"""Forgetting connections that the kernel remembers: they would outlive what they were about.

A client that sends datagrams to a port before it is published, or while its sandbox is away, keeps the kernel's first decision alive
for ever. And whoever talked to an address would go on being let through to its next owner. (ctnetlink deletes what matches a filter
since Linux 5.8; the numbers are those of linux/netfilter/nfnetlink_conntrack.h.)
"""

import socket
import struct
from collections.abc import Sequence

from zun.cni.edge import kernel
from zun.cni.netlink import Netlink
from zun.model.attachments import Attachment

_NETLINK_NETFILTER = 12
_DELETE = (1 << 8) | 2  # of the subsystem for connections
_TUPLE_ORIGINAL, _TUPLE_REPLY, _FILTER = 1, 2, 25
_IP, _PROTOCOL = 1, 2
_V4_SOURCE, _V6_SOURCE = 1, 3
_PROTOCOL_NUMBER, _PORT_DESTINATION = 1, 3
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2
_MATCH_SOURCE, _MATCH_PROTOCOL, _MATCH_PORT_DESTINATION = 1 << 0, 1 << 3, 1 << 5
_NESTED = 0x8000


def forget_ports(attachments: Sequence[Attachment], deadline: float) -> None:
    """Datagrams to published ports are decided about anew. Raises `Internal`, `Timeout`."""
    ports = {port.host_port for one in attachments for port in one.published if port.protocol == "udp"}
    bodies = [_datagrams_to(family, port) for port in sorted(ports) for family in (socket.AF_INET, socket.AF_INET6)]
    _delete(bodies, deadline)


def forget_addresses(attachments: Sequence[Attachment], deadline: float) -> None:
    """Nobody talks to or from these addresses. Raises `Internal`, `Timeout`."""
    bodies = []
    for addr in sorted({address.addr for one in attachments for address in one.addresses}):
        bodies += [_with_source(addr, _TUPLE_ORIGINAL), _with_source(addr, _TUPLE_REPLY)]
    _delete(bodies, deadline)


def _delete(bodies: list[bytes], deadline: float) -> None:
    if not bodies:
        return
    with Netlink(deadline, _NETLINK_NETFILTER) as filters, kernel("forget connections"):
        filters.send_all([(_DELETE, body) for body in bodies])


def _datagrams_to(family: int, port: int) -> bytes:
    told = _attribute(_PROTOCOL_NUMBER, bytes([socket.IPPROTO_UDP])) + _attribute(
        _PORT_DESTINATION, struct.pack("!H", port)
    )
    wanted = _attribute(_TUPLE_ORIGINAL | _NESTED, _attribute(_PROTOCOL | _NESTED, told))
    return _head(family) + wanted + _flags(_ORIGINAL_FLAGS, _MATCH_PROTOCOL | _MATCH_PORT_DESTINATION)


def _with_source(addr: str, direction: int) -> bytes:
    """Connections begun by an address (the original direction), or that it answers (the reply)."""
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    source = _attribute(_V6_SOURCE if family == socket.AF_INET6 else _V4_SOURCE, socket.inet_pton(family, addr))
    wanted = _attribute(direction | _NESTED, _attribute(_IP | _NESTED, source))
    return (
        _head(family)
        + wanted
        + _flags(_ORIGINAL_FLAGS if direction == _TUPLE_ORIGINAL else _REPLY_FLAGS, _MATCH_SOURCE)
    )


def _flags(which: int, matched: int) -> bytes:
    return _attribute(_FILTER | _NESTED, _attribute(which, struct.pack("=I", matched)))


def _head(family: int) -> bytes:
    return struct.pack("=BBH", family, 0, 0)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
