# SPDX-License-Identifier: Apache-2.0
"""Published ports: what was wished, what the leader decided, and how both are told. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec

from zun.model.attachments import Attachment, PublishedPort
from zun.model.container import ContainerSpec
from zun.model.records import Place

EVERYWHERE = "0.0.0.0"  # noqa: S104 - a word that is shown, nothing is bound here
"""How people are told that a port is published on every address of its node."""

_EVERYWHERE = frozenset({EVERYWHERE, "::"})


def host_address(of_node: str) -> str:
    """A node's address for published ports, as `PublishedPort.host_address` has it."""
    return "" if of_node in _EVERYWHERE else of_node


def plugged(place: Place) -> list[Attachment] | None:
    """The interfaces of a place, with what it publishes on the first one; None where they are the engine's business."""
    if not place.attachments or not place.published:
        return place.attachments
    first, *others = place.attachments
    return [msgspec.structs.replace(first, published=tuple(place.published)), *others]


def shown(spec: ContainerSpec, place: Place | None) -> list[dict[str, Any]]:
    """What people see of it: where each port is found, as far as that is known by now.

    The place of a capsule has the ports of all its containers; of these, those of `spec` are shown.
    """
    if not spec.published_ports:
        return []
    wished = {(port.protocol, port.port) for port in spec.published_ports}
    decided = [port for port in place.published if (port.protocol, port.port) in wished] if place is not None else []
    placed = place is not None and bool(place.node) and bool(decided)
    return [
        {
            "host_address": (port.host_address or EVERYWHERE) if placed else None,
            "host_port": port.host_port or None,
            "port": port.port,
            "protocol": port.protocol,
        }
        for port in decided or spec.published_ports
    ]


def exposed(asked: Iterable[str], published: Iterable[PublishedPort]) -> list[str]:
    """The ports that a container serves: those it exposes, and those it publishes."""
    return list(dict.fromkeys([*asked, *(f"{port.port}/{port.protocol}" for port in published)]))
