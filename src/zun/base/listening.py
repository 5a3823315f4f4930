# SPDX-License-Identifier: Apache-2.0
"""At which ports of this machine programs listen, as the kernel lists them (proc(5), `/proc/net/tcp` and its kin)."""

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path

_TABLES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6")}
_WAITING = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN; of UDP, a socket that is connected to nobody (TCP_CLOSE)
_NET = Path("/proc/net")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_listening(protocol: str, port: int, address: str = "", *, net: Path = _NET) -> bool:
    """Whether a program of this machine's network listens at a port where `address` ("": any address) leads to it.

    A program that listens at every address counts for each, also one of the other IP version: it may serve both.
    """
    wanted = ipaddress.ip_address(address) if address else None
    return any(
        at == port and (wanted is None or where.is_unspecified or where == wanted)
        for where, at in _listeners(protocol, net)
    )


def _listeners(protocol: str, net: Path) -> Iterator[tuple[Address, int]]:
    for table in _TABLES[protocol]:
        try:
            lines = (net / table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue  # a kernel without IPv6
        for line in lines:
            fields = line.split()
            if fields[3] == _WAITING[protocol]:
                where, _, at = fields[1].partition(":")
                yield _address(where), int(at, 16)


def _address(written: str) -> Address:
    """The kernel writes words of 32 bits as numbers of the machine."""
    words = [int(written[start : start + 8], 16) for start in range(0, len(written), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
