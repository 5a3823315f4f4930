# SPDX-License-Identifier: Apache-2.0
"""The networks of the control plane as placing sees them: which there are, and which of their addresses are free. Plain memory.

Addresses go round: one that was given back is given out again as late as can be, so that what others still remember of it is forgotten.
"""

import ipaddress
from hashlib import blake2b

import msgspec

from zun.controllers.scheduling.requests import Request
from zun.model.attachments import Attachment, InterfaceAddress, Port
from zun.model.container import NetRequest
from zun.model.networks import NetworkRecord, Subnet, default_network
from zun.store import keys


class Pool:
    """The addresses of one subnet. Whatever `taken` is told counts, whether it lies in a range or not."""

    def __init__(self, subnet: Subnet) -> None:
        self.subnet = subnet
        self._ranges = [
            (int(ipaddress.ip_address(one.start)), int(ipaddress.ip_address(one.end))) for one in subnet.ranges
        ]
        self._kind = type(subnet.network.network_address)
        self._prefix = subnet.network.prefixlen
        self._taken: set[int] = {int(ipaddress.ip_address(subnet.gateway))} if subnet.gateway else set()
        self._cursor = self._ranges[0][0]
        self._next: int | None = self._search()

    def peek(self) -> str | None:
        """The address that is given out next; None: all are taken. As quick as can be until somebody takes it."""
        return str(self._kind(self._next)) if self._next is not None else None

    def take(self, addr: str) -> None:
        """It is taken now."""
        number = int(ipaddress.ip_address(addr))
        self._taken.add(number)
        if number == self._next:
            self._cursor = number + 1
            self._next = self._search()

    def give_back(self, addr: str) -> None:
        """It is free again."""
        self._taken.discard(int(ipaddress.ip_address(addr)))
        if self._next is None:
            self._next = self._search()

    def address(self, addr: str) -> InterfaceAddress:
        """An address as an interface has it."""
        gateway = self.subnet.gateway
        return InterfaceAddress(addr, self._prefix, gateway)

    def _search(self) -> int | None:
        """The first free address from the cursor on, beginning anew at the end. A range that is nearly full is walked once."""
        for start, end in [(max(low, self._cursor), high) for low, high in self._ranges] + self._ranges:
            number = start
            while number <= end:
                if number not in self._taken:
                    return number
                number += 1
        return None


class Known(msgspec.Struct, frozen=True):
    """A network with its record's revision and the addresses of its subnets, by IP version."""

    record: NetworkRecord
    revision: int
    pools: dict[int, Pool]


class Wanted(msgspec.Struct, frozen=True):
    """An interface asked for: on which network, and what the container has there already."""

    net: NetRequest
    known: Known
    kept: Attachment | None = None

    def fixed(self) -> list[str]:
        """The addresses that were asked for, in their short form."""
        return [addr for version in self.known.pools if (addr := _fixed(self.net, version)) is not None]

    def has_room(self) -> bool:
        """Whether there is an address of each version for it. Whether a fixed one is free is not asked here."""
        if self.kept is not None:
            return True
        return all(
            _fixed(self.net, version) is not None or pool.peek() is not None
            for version, pool in self.known.pools.items()
        )


class Pools:
    """All networks by id."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._by_name: dict[str, str] = {}

    def describe(self, record: NetworkRecord, revision: int) -> bool:
        """A network came or changed; whether its addresses are not counted yet."""
        before = self._known.get(record.uuid)
        pools = before.pools if before is not None else {}
        if before is None or before.record.subnets != record.subnets:
            pools = {subnet.network.version: Pool(subnet) for subnet in record.subnets}
        self._known[record.uuid] = Known(record, revision, pools)
        self._by_name[record.name] = record.uuid
        return before is None or pools is not before.pools

    def forget(self, name: str) -> None:
        """A network went."""
        self._known.pop(self._by_name.pop(name, ""), None)

    def names(self) -> list[str]:
        """All known ones."""
        return list(self._by_name)

    def revision(self, network: str) -> tuple[str, int]:
        """The key of a known network's record, and its revision."""
        known = self._known[network]
        return keys.network(known.record.name), known.revision

    def take(self, key: str) -> None:
        """The address of a claim is taken. Claims of other things, and on networks that are not known, mean nothing here."""
        pool, addr = self._pool(key)
        if pool is not None:
            pool.take(addr)

    def give_back(self, key: str) -> None:
        """It is free."""
        pool, addr = self._pool(key)
        if pool is not None:
            pool.give_back(addr)

    def wanted(self, request: Request) -> list[Wanted] | None:
        """What a container is to be plugged into; None when one of the networks is not there for it.

        One that has interfaces already (it moves) keeps them, whatever its wish says.
        """
        if request.kept is not None:
            nets = [NetRequest(id=one.network) for one in request.kept]
        elif request.nets:
            nets = list(request.nets)
        else:
            default = default_network([known.record for known in self._known.values()], request.project_id)
            if default is None:
                return None
            nets = [NetRequest(id=default.uuid)]
        kept = {one.network: one for one in request.kept or ()}
        found = []
        for net in nets:
            one = self.offered(net, request.project_id, kept.get(net.id))
            if one is None:
                return None
            found.append(one)
        return found

    def offered(self, net: NetRequest, project_id: str, kept: Attachment | None = None) -> Wanted | None:
        """An interface on one network; None when that is not there for the project. Who is on one that is being removed stays."""
        known = self._known.get(net.id)
        if known is None or not known.record.is_for(project_id) or (known.record.closing and kept is None):
            return None
        return Wanted(net, known, kept)

    def has_room(self, request: Request) -> bool:
        """Whether each network has an address for it. Whether a fixed one is free is not asked here."""
        wanted = self.wanted(request)
        return wanted is not None and all(one.has_room() for one in wanted)

    def grant(self, request: Request) -> list[Attachment]:
        """The interfaces of a container, with addresses. Nothing is counted yet; `has_room` was asked before."""
        return [
            one.kept or attachment(one, f"eth{number}", request.exposed)
            for number, one in enumerate(self.wanted(request) or ())
        ]

    def _pool(self, key: str) -> tuple[Pool | None, str]:
        network, _, addr = key.removeprefix(keys.ADDRESSES).partition("/")
        known = self._known.get(network)
        if known is None or not addr:
            return None, ""
        return known.pools.get(6 if ":" in addr else 4), addr


def attachment(wanted: Wanted, ifname: str, exposed: tuple[Port, ...] | None) -> Attachment:
    """An interface with an address of each version that the network has: the fixed one, or the next that is free."""
    record, pools = wanted.known.record, wanted.known.pools
    addresses = []
    for version in sorted(pools):
        addr = _fixed(wanted.net, version) or pools[version].peek()
        if addr is not None:
            addresses.append(pools[version].address(addr))
    return Attachment(
        network=record.uuid,
        ifname=ifname,
        mac=_mac(addresses[0].addr),
        addresses=tuple(addresses),
        mtu=record.mtu,
        exposed=exposed,
    )


def claims_of(attachments: list[Attachment]) -> list[str]:
    """The keys that give their addresses to one container only."""
    return [keys.address(one.network, address.addr) for one in attachments for address in one.addresses]


def _fixed(net: NetRequest, version: int) -> str | None:
    given = net.v4_fixed_ip if version == 4 else net.v6_fixed_ip
    return str(ipaddress.ip_address(given)) if given else None


def _mac(addr: str) -> str:
    """Of the address, as unique on its network as that: who gets the address next has its MAC too, and nobody's memory of it is wrong.

    Of an IPv6 address a digest must do, on networks without IPv4; two that are the same would be refused by their node.
    """
    address = ipaddress.ip_address(addr)
    tail = b"\x5a" + address.packed if address.version == 4 else blake2b(address.packed, digest_size=5).digest()
    return ":".join(f"{byte:02x}" for byte in b"\x02" + tail)
