# SPDX-License-Identifier: Apache-2.0
"""Ports as operators write them: `1024-32767`, `2379,2380,9517-9519`."""

import re
from collections.abc import Iterator

import msgspec

_PIECE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_MOST = 65535


class PortRanges(msgspec.Struct, frozen=True):
    """Some ports, as ranges with both ends included."""

    ranges: tuple[tuple[int, int], ...] = ()

    def __contains__(self, port: int) -> bool:
        """Whether it is one of them."""
        return any(low <= port <= high for low, high in self.ranges)

    def __len__(self) -> int:
        """How many there are; what is in two ranges counts twice."""
        return sum(high - low + 1 for low, high in self.ranges)

    def __str__(self) -> str:
        """As it is written."""
        return ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in self.ranges)

    def going_round(self, start: int) -> Iterator[int]:
        """All of them once, beginning with the one in place `start`."""
        size = len(self)
        for step in range(size):
            yield self._at((start + step) % size)

    def _at(self, place: int) -> int:
        for low, high in self.ranges:
            if place <= high - low:
                return low + place
            place -= high - low + 1
        raise IndexError(place)


def parse_ports(written: str, what: str) -> PortRanges:
    """Read them; "" is none. `what` names the option in the `ValueError` that is raised for anything else."""
    found = []
    for piece in filter(None, (part.strip() for part in written.split(","))):
        match = _PIECE.fullmatch(piece)
        low = int(match[1]) if match else 0
        high = int(match[2] or low) if match else 0
        if not 1 <= low <= high <= _MOST:
            raise ValueError(f"{what}: {piece!r} is no port and no range of ports; write them like 1024-2000,8080")
        found.append((low, high))
    return PortRanges(tuple(found))
