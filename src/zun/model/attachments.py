# SPDX-License-Identifier: Apache-2.0
"""How a container is plugged into networks: what the control plane allocated, and a node binds without choosing anything.

An attachment is one interface of a sandbox, which is a container's (or a capsule's) share of a machine's network. A sandbox has a key,
`<uuid>.<generation>`: what engines and network plugins are told, and what its attachments are found by on the node.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from zun.model.errors import Conflict, Invalid

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_IFNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_LEAST_MTU, _MOST_MTU, _LEAST_MTU_V6 = 576, 65535, 1280
_MOST_PORT = 65535

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Protocol = Literal["tcp", "udp"]


class InterfaceAddress(msgspec.Struct, omit_defaults=True, frozen=True):
    """An address of an interface. `prefix` and `gateway` are those of its subnet; without a gateway there is no way out of it."""

    addr: str
    prefix: int
    gateway: str = ""

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.addr else 4

    @property
    def subnet(self) -> Network:
        """The subnet it is in."""
        return ipaddress.ip_network(f"{self.addr}/{self.prefix}", strict=False)


class Route(msgspec.Struct, omit_defaults=True, frozen=True):
    """A route beside those to the subnet and the default one. `gateway` "": the interface reaches it itself."""

    destination: str
    gateway: str = ""


class Port(msgspec.Struct, omit_defaults=True, frozen=True):
    """A port of a container."""

    port: int
    protocol: Protocol = "tcp"


class PublishedPort(msgspec.Struct, omit_defaults=True, frozen=True):
    """A port of the machine that leads to one of the container. `host_address` "": on every address of the machine."""

    host_port: int
    port: int
    protocol: Protocol = "tcp"
    host_address: str = ""


class Attachment(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """One interface: `network` is the network's id, which is also what is isolated from other networks.

    `exposed` None: everybody who reaches the network reaches every port; else only these ports, and the published ones, are open.
    """

    network: str
    ifname: str
    mac: str
    addresses: tuple[InterfaceAddress, ...]
    mtu: int = 1500
    routes: tuple[Route, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    exposed: tuple[Port, ...] | None = None


class Dns(msgspec.Struct, omit_defaults=True, frozen=True):
    """Who is asked for names."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class SandboxNetwork(msgspec.Struct, omit_defaults=True, frozen=True):
    """Everything about a sandbox's network. The first attachment is the primary one.

    Of the interfaces whose addresses have a gateway, the first one of each IP version has the default route.
    """

    key: str
    attachments: tuple[Attachment, ...] = ()
    dns: Dns = Dns()


def in_use(port: PublishedPort) -> Conflict:
    """The refusal of a port at which something else on the node listens."""
    return Conflict(
        f"Port {port.host_port}/{port.protocol} of this node is in use: another program listens there. Publish another port."
    )


def sandbox_key(uuid: str, generation: int) -> str:
    """The key of a container's sandbox."""
    return f"{uuid}.{generation}"


def is_sandbox_key(key: str) -> bool:
    """Whether it can be one: also a name of a file."""
    return _KEY.fullmatch(key) is not None


def check_sandbox(sandbox: SandboxNetwork) -> None:
    """Whether it can be bound as it stands. Raises `Invalid` naming what is wrong."""
    if not is_sandbox_key(sandbox.key):
        raise Invalid(f"{sandbox.key!r} is no key of a sandbox; it is `<uuid>.<generation>`.")
    names = [attachment.ifname for attachment in sandbox.attachments]
    networks = [attachment.network for attachment in sandbox.attachments]
    for told, what in ((names, "interface"), (networks, "network")):
        if len(set(told)) != len(told):
            raise Invalid(
                f"Sandbox {sandbox.key} has the same {what} twice among {', '.join(told)}; each may be there once."
            )
    for attachment in sandbox.attachments:
        _check_attachment(attachment)
    for server in sandbox.dns.servers:
        _address(server, "the DNS server")


def _check_attachment(attachment: Attachment) -> None:
    where = f"interface {attachment.ifname}"
    if not _IFNAME.fullmatch(attachment.ifname) or attachment.ifname in {"lo", "all", "default"}:
        raise Invalid(f"{attachment.ifname!r} cannot be the name of an interface; take for example eth0.")
    if not attachment.network:
        raise Invalid(f"The network of {where} is not named.")
    if not _MAC.fullmatch(attachment.mac) or int(attachment.mac[:2], 16) & 1:
        raise Invalid(
            f"{attachment.mac!r} of {where} is no MAC address of one interface, in the form 02:00:00:00:00:01."
        )
    if not attachment.addresses:
        raise Invalid(f"There is no address for {where}; an attachment has at least one.")
    for address in attachment.addresses:
        _check_address(address, where)
    least = _LEAST_MTU_V6 if any(address.version == 6 for address in attachment.addresses) else _LEAST_MTU
    if not least <= attachment.mtu <= _MOST_MTU:
        raise Invalid(f"An MTU of {attachment.mtu} is not possible for {where}; take {least} to {_MOST_MTU}.")
    for route in attachment.routes:
        _check_route(route, where)
    _check_ports(attachment, where)


def _check_address(address: InterfaceAddress, where: str) -> None:
    held = _address(address.addr, f"the address of {where}")
    if not 1 <= address.prefix <= held.max_prefixlen:
        raise Invalid(f"Address {address.addr} of {where} has the prefix length {address.prefix}, which is none.")
    if held.is_loopback or held.is_multicast or held.is_unspecified or held.is_link_local:
        raise Invalid(
            f"Address {address.addr} of {where} is of a special kind; take one of a private or public subnet."
        )
    if address.gateway:
        gateway = _address(address.gateway, f"the gateway of {where}")
        if gateway not in address.subnet or gateway == held:
            raise Invalid(
                f"Gateway {address.gateway} of {where} is not another address of its subnet {address.subnet}."
            )


def _check_route(route: Route, where: str) -> None:
    try:
        destination = ipaddress.ip_network(route.destination)
    except ValueError as error:
        raise Invalid(f"A route of {where} leads to {route.destination!r}, which is no subnet: {error}.") from error
    if route.gateway and _address(route.gateway, f"a route's gateway of {where}").version != destination.version:
        raise Invalid(
            f"The route of {where} to {route.destination} has a gateway of another IP version: {route.gateway}."
        )


def _check_ports(attachment: Attachment, where: str) -> None:
    numbers = [port.port for port in attachment.exposed or ()]
    for published in attachment.published:
        numbers += [published.port, published.host_port]
        if published.host_address:
            version = _address(published.host_address, f"a published port's address of {where}").version
            if all(address.version != version for address in attachment.addresses):
                raise Invalid(
                    f"Port {published.host_port} is published on {published.host_address}, but {where} has no address of IPv{version}."
                )
    for number in numbers:
        if not 1 <= number <= _MOST_PORT:
            raise Invalid(f"{number} of {where} is no port; ports are 1 to {_MOST_PORT}.")


def _address(text: str, what: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise Invalid(f"{text!r}, {what}, is no IP address.") from error
    if str(found) != text or "%" in text:
        raise Invalid(f"{text!r}, {what}, is not in its short form; write {found}.")
    return found


def overlapping(one: Iterable[Network], other: Iterable[Network]) -> tuple[Network, Network] | None:
    """The first two of these subnets that share addresses, or None."""
    others = list(other)
    for mine in one:
        for theirs in others:
            if mine.version == theirs.version and mine.overlaps(theirs):
                return mine, theirs
    return None
