# SPDX-License-Identifier: Apache-2.0
"""Networks of the control plane: what administrators make, the leader gives addresses on, and nodes with `[network] driver = cni` plug into."""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from zun.model.attachments import Network, overlapping
from zun.model.errors import Invalid
from zun.model.parts import NetRequest

CNI = "networks=cni"
"""The capability of a node that plugs its containers into networks of the control plane, and into no others."""

PLUGIN_NAME = "zun-cni"
"""The plugin that engines which run CNI plugins have to run for every sandbox on such a node."""

MOST_ADDRESSES_V4 = 65_536
"""An IPv4 subnet may be as large as a /16."""

DEFAULT_MTU = 1500
_LEAST_MTU, _LEAST_MTU_V6, _MOST_MTU = 576, 1280, 65_535
_LONGEST_PREFIX = {4: 30, 6: 126}
_SHORTEST_PREFIX = {4: 16, 6: 48}


class NetworkInfo(msgspec.Struct, omit_defaults=True, frozen=True):
    """A network that a node's engine has. `fixed_addresses`: whether an address may be asked for."""

    id: str
    name: str
    driver: str = ""
    subnets: list[str] = []
    fixed_addresses: bool = False


class AddressRange(msgspec.Struct, frozen=True):
    """Addresses that containers get when they ask for none: from `start` to `end`, both included."""

    start: str
    end: str


class Subnet(msgspec.Struct, omit_defaults=True, frozen=True):
    """The addresses of a network, of one IP version. `gateway` "": there is no way out of it."""

    cidr: str
    gateway: str
    ranges: tuple[AddressRange, ...]

    @property
    def network(self) -> Network:
        """The same as a value."""
        return ipaddress.ip_network(self.cidr)


class NetworkRecord(msgspec.Struct, omit_defaults=True):
    """A network (`v/net/<name>`), with at most one subnet of each IP version.

    `shared`: containers of every project may be on it, else those of `project_id` alone. `closing`: it is being removed, and nobody is
    given an address any more.
    """

    uuid: str
    name: str
    project_id: str
    user_id: str
    created_at: float
    subnets: tuple[Subnet, ...]
    mtu: int = DEFAULT_MTU
    shared: bool = False
    closing: bool = False
    v: int = 1

    def is_for(self, project_id: str) -> bool:
        """Whether containers of a project may be on it."""
        return self.shared or self.project_id == project_id

    def subnet(self, version: int) -> Subnet | None:
        """Its subnet of an IP version."""
        return next((subnet for subnet in self.subnets if subnet.network.version == version), None)


def default_network(networks: Iterable[NetworkRecord], project_id: str) -> NetworkRecord | None:
    """Where a container goes that names no network: the oldest one that is its project's alone, else the oldest shared one."""
    mine = [network for network in networks if network.is_for(project_id) and not network.closing]
    return min(mine, key=lambda network: (network.shared, network.created_at, network.uuid), default=None)


def subnet_of(cidr: str, gateway: str | None = None, ranges: Iterable[AddressRange] = ()) -> Subnet:
    """A subnet. `gateway` None: its first address, "": none; without `ranges` every other address is given out. Raises `Invalid`."""
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as error:
        raise Invalid(f"{cidr!r} is no subnet ({error}); write one like 10.1.0.0/24 or fd00:1::/64.") from error
    version = network.version
    if not _SHORTEST_PREFIX[version] <= network.prefixlen <= _LONGEST_PREFIX[version]:
        raise Invalid(
            f"Subnet {cidr} is too large or too small; an IPv{version} subnet is a "
            f"/{_SHORTEST_PREFIX[version]} to a /{_LONGEST_PREFIX[version]}."
        )
    if network.is_multicast or network.is_loopback or network.is_link_local:
        raise Invalid(f"Subnet {cidr} is of a special kind; take a private or public one.")
    way_out = str(network[1]) if gateway is None else gateway
    if way_out:
        way_out = _host(way_out, network, "The gateway")
    found = tuple(_range(one, network) for one in ranges) or tuple(_whole(network, way_out))
    return Subnet(str(network), way_out, found)


def check_record(record: NetworkRecord, others: Iterable[NetworkRecord]) -> None:
    """Whether it can be beside the other networks. Raises `Invalid`."""
    if not record.subnets:
        raise Invalid("A network needs a subnet; give one like 10.1.0.0/24.")
    versions = [subnet.network.version for subnet in record.subnets]
    if len(set(versions)) != len(versions):
        raise Invalid("A network has at most one subnet of each IP version; make another network for the rest.")
    least = _LEAST_MTU_V6 if 6 in versions else _LEAST_MTU
    if not least <= record.mtu <= _MOST_MTU:
        raise Invalid(f"An MTU of {record.mtu} is not possible here; take {least} to {_MOST_MTU}.")
    for other in others:
        shared = overlapping(
            [subnet.network for subnet in record.subnets], [subnet.network for subnet in other.subnets]
        )
        if shared is not None and other.uuid != record.uuid:
            raise Invalid(f"Subnet {shared[0]} shares addresses with {shared[1]} of another network; take another one.")


def check_fixed(net: NetRequest, record: NetworkRecord) -> None:
    """Whether the fixed addresses asked for can be had on a network, if they are free. Raises `Invalid`."""
    for asked in (net.v4_fixed_ip, net.v6_fixed_ip):
        if not asked:
            continue
        try:
            address = ipaddress.ip_address(asked)
        except ValueError as error:
            raise Invalid(f"{asked} is no IP address; write it like 10.9.0.20.") from error
        subnet = record.subnet(address.version)
        if subnet is None or address not in subnet.network:
            cidrs = ", ".join(one.cidr for one in record.subnets)
            raise Invalid(f"Address {asked} is not on network {record.name}; its subnets are {cidrs}.")
        if str(address) == subnet.gateway or not _is_host(address, subnet.network):
            raise Invalid(
                f"Address {asked} of network {record.name} is the gateway's or the subnet's own; take another one."
            )


def _range(one: AddressRange, network: Network) -> AddressRange:
    start, end = (_host(text, network, "An allocation range's end") for text in (one.start, one.end))
    if int(ipaddress.ip_address(start)) > int(ipaddress.ip_address(end)):
        raise Invalid(
            f"The allocation range {one.start}-{one.end} ends before it begins; write it the other way round."
        )
    return AddressRange(start, end)


def _host(text: str, network: Network, what: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is no IP address; write it like {network[1]}.") from error
    if address not in network or not _is_host(address, network):
        raise Invalid(f"{what} {text} is no address for a host of {network}; take one like {network[1]}.")
    return str(address)


def _is_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: Network) -> bool:
    return address not in {network.network_address, network.broadcast_address}


def _whole(network: Network, gateway: str) -> Iterator[AddressRange]:
    """Every host's address but the gateway's."""
    first, last = int(network.network_address) + 1, int(network.broadcast_address) - 1
    kind = type(network.network_address)
    cut = int(ipaddress.ip_address(gateway)) if gateway else first - 1
    for start, end in ((first, min(last, cut - 1)), (max(first, cut + 1), last)):
        if start <= end:
            yield AddressRange(str(kind(start)), str(kind(end)))
