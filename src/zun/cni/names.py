# SPDX-License-Identifier: Apache-2.0
"""What our interfaces are called: derived, so that they are found again without any memory. At most 15 characters, as the kernel has it."""

from hashlib import blake2s

BRIDGE_PREFIX = "zunb"
"""Of bridges, one for each network. Nothing else on the machine may be called so."""

LINK_PREFIX = "zunv"
"""Of the machine's end of each interface of a sandbox."""

_DIGITS = 11


def bridge_name(network: str) -> str:
    """The bridge of a network."""
    return BRIDGE_PREFIX + _digest(network)


def bridge_mac(network: str) -> str:
    """The bridge's address: the same for good, where the kernel would take that of whichever interface is plugged in."""
    return _mac(_digest("mac", network))


def link_name(container_id: str, ifname: str) -> str:
    """The machine's end of an interface. By the engine's id: two sandboxes with the same attachments, one leaving, differ."""
    return LINK_PREFIX + _digest(container_id, ifname)


def link_mac(container_id: str, ifname: str) -> str:
    """The address of the machine's end, which nobody speaks to."""
    return _mac(_digest("mac", container_id, ifname))


def _digest(*parts: str) -> str:
    return blake2s("\0".join(parts).encode()).hexdigest()[:_DIGITS]


def _mac(digits: str) -> str:
    return ":".join(("02", *(digits[index : index + 2] for index in range(0, 10, 2))))
