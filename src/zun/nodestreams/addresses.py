# SPDX-License-Identifier: Apache-2.0
"""Where a stream server is: host and port. A node tells it, and a node may be captured: nothing else than that is read out of it."""

import ipaddress
import re
import socket
from typing import NamedTuple

from zun.base.addresses import written
from zun.model.errors import Invalid, Unavailable

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_PORT = re.compile(r"[0-9]{1,5}")


class Address(NamedTuple):
    """A host name or address without brackets, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """As people write it: host:port, an IPv6 address in brackets."""
        return written(self.host, self.port)

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        ip = _ip(self.host)
        return ip.is_loopback if ip is not None else self.host == "localhost"

    @property
    def anywhere(self) -> bool:
        """Whether it means all addresses of a machine, and so is none to connect to."""
        ip = _ip(self.host)
        return ip is not None and ip.is_unspecified

    @property
    def target(self) -> str:
        """As gRPC wants it, with the scheme said, so that no host name can be taken for one."""
        ip = _ip(self.host)
        return f"dns:///{self}" if ip is None else f"ipv{ip.version}:{self}"


def parse_address(text: str, *, any_port: bool = False) -> Address:
    """Read host:port. `any_port`: 0 is a port, too. Raises `Invalid`."""
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    ip = _ip(host)
    good_host = (ip is not None and ip.version == 6) if bracketed or ":" in host else bool(_NAME.fullmatch(host))
    number = int(port) if _PORT.fullmatch(port) else -1
    if not good_host or not (0 if any_port else 1) <= number <= 65535 or (":" in host and not bracketed):
        raise Invalid(
            f"{text[:100]!r} is no address; write it like 10.0.0.5:9518, [fd00::5]:9518 or node5.example:9518."
        )
    return Address(host, number)


def told_address(listening: Address, *, wished: str, peer: str) -> Address:
    """What a node that listens there tells of it: what an operator wishes, else where it listens; for all addresses of the machine, the one that
    `peer` (host:port) sees. Raises `Invalid`, `Unavailable`."""
    if wished:
        return parse_address(wished)
    if not listening.anywhere:
        return listening
    return Address(own_address_towards(parse_address(peer)), listening.port)


def own_address_towards(peer: Address) -> str:
    """The address of this machine that a peer sees. Nothing is sent. Raises `Unavailable` when there is no way to it."""
    try:
        family, kind, *_, target = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise Unavailable(
            f"This machine has no way to {peer} ({error}), so its own address is not known; set [compute] stream_address."
        ) from error


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
