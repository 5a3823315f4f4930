# SPDX-License-Identifier: Apache-2.0
"""Networks of the fake: they give addresses out and take them back."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from zun.model.errors import Conflict, Invalid
from zun.model.records import Address, NetworkInfo


@dataclass(slots=True)
class Endpoint:
    """A container's place on a network; the addresses are empty while it does not run, unless they are fixed."""

    id: str
    network: str
    fixed_v4: str | None = None
    fixed_v6: str | None = None
    v4: str = ""
    v6: str = ""


def addresses_of(endpoints: Iterable[Endpoint]) -> tuple[Address, ...]:
    """The addresses that are in use."""
    return tuple(
        Address(network=endpoint.network, addr=addr, version=6 if ":" in addr else 4, port=endpoint.id)
        for endpoint in endpoints
        for addr in (endpoint.v4, endpoint.v6)
        if addr
    )


@dataclass(slots=True)
class FakeNetwork:
    """A network with one IPv4 subnet."""

    id: str
    name: str
    subnet: ipaddress.IPv4Network
    fixed_addresses: bool
    driver: str = "bridge"
    taken: set[str] = field(default_factory=set)
    _next: int = 2

    def info(self) -> NetworkInfo:
        """What a fingerprint tells of it."""
        return NetworkInfo(self.id, self.name, self.driver, [str(self.subnet)], self.fixed_addresses)

    def check(self, v4: str | None) -> None:
        """Whether a fixed address may be asked for. Raises `Invalid`, `Conflict`."""
        if v4 is None:
            return
        if not self.fixed_addresses:
            raise Invalid(
                f"Network {self.name} takes no fixed addresses; leave the address out or use a network made by an operator."
            )
        try:
            address = ipaddress.IPv4Address(v4)
        except ValueError as error:
            raise Invalid(f"{v4!r} is no IPv4 address.") from error
        if address not in self.subnet:
            raise Invalid(f"{v4} does not lie in {self.subnet} of network {self.name}; choose one that does.")
        if v4 in self.taken:
            raise Conflict(f"Address {v4} on network {self.name} is taken; choose another.")

    def take(self, wished: str | None) -> str:
        """An address: the wished one, or the next that is free."""
        if wished is not None:
            self.check(wished)
            self.taken.add(wished)
            return wished
        first, size = int(self.subnet.network_address), self.subnet.num_addresses
        for _ in range(size):
            number = first + self._next
            self._next = self._next + 1 if self._next < size - 2 else 2
            address = f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            if address not in self.taken:
                self.taken.add(address)
                return address
        raise Conflict(f"Network {self.name} has no free address; remove containers or use another network.")

    def give_back(self, address: str) -> None:
        """It is free again."""
        self.taken.discard(address)
