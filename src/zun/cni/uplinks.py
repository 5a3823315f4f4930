# SPDX-License-Identifier: Apache-2.0
"""The interfaces with a default route: where the outside is."""

from pathlib import Path

_V4, _V6 = Path("/proc/thread-self/net/route"), Path("/proc/thread-self/net/ipv6_route")
_LOOPBACK = "lo"


def default_uplinks() -> frozenset[str]:
    """Their names, of the calling thread's namespace."""
    v4 = [line.split() for line in _lines(_V4)[1:]]
    v6 = [line.split() for line in _lines(_V6)]
    found = {fields[0] for fields in v4 if int(fields[1], 16) == 0 and int(fields[7], 16) == 0}
    found |= {fields[9] for fields in v6 if int(fields[0], 16) == 0 and int(fields[1], 16) == 0}
    return frozenset(found - {_LOOPBACK})


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []  # the kernel has no IPv6
