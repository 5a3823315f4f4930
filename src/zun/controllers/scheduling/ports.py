# SPDX-License-Identifier: Apache-2.0
"""Ports of nodes: which a container gets there, and the keys that give each to one container only. Changes nothing."""

from collections.abc import Iterable, Iterator

import msgspec

from zun.controllers.scheduling.cluster import Cluster, NodeFacts
from zun.controllers.scheduling.requests import Request
from zun.model.attachments import PublishedPort
from zun.model.port_ranges import PortRanges
from zun.model.publishing import host_address
from zun.store import keys


class HostPorts:
    """Who asks for no particular port of a node gets one of `chosen`; where the search begins is the container's own, so that few collide."""

    def __init__(self, chosen: PortRanges) -> None:
        self._chosen = chosen

    def grant(self, request: Request, node: NodeFacts, cluster: Cluster) -> list[PublishedPort] | None:
        """The ports of a node that it gets; None when one of them cannot be had. Nothing is counted yet."""
        mine: set[tuple[str, int]] = {(port.protocol, port.host_port) for port in request.published}
        address = host_address(node.publish_address)
        granted = []
        for port in request.published:
            number = port.host_port or next(self._left(request, port.protocol, node, cluster, mine), 0)
            if not number or not is_free(request.uuid, port.protocol, number, node, cluster):
                return None
            mine.add((port.protocol, number))
            granted.append(msgspec.structs.replace(port, host_port=number, host_address=address))
        return granted

    def _left(
        self, request: Request, protocol: str, node: NodeFacts, cluster: Cluster, mine: set[tuple[str, int]]
    ) -> Iterator[int]:
        for number in self._chosen.going_round(_beginning(request.uuid)):
            if (protocol, number) not in mine and is_free(request.uuid, protocol, number, node, cluster):
                yield number


def is_free(uuid: str, protocol: str, number: int, node: NodeFacts, cluster: Cluster) -> bool:
    """Whether a port of a node is nobody else's than that container's, and not one at which the node serves API servers."""
    owner = cluster.owner(keys.host_port(node.name, protocol, number))
    return owner in {None, uuid} and (protocol, number) not in node.own_ports


def port_keys(node: str, published: Iterable[PublishedPort]) -> list[str]:
    """The claims on ports of a node."""
    return [keys.host_port(node, port.protocol, port.host_port) for port in published]


def _beginning(uuid: str) -> int:
    return int.from_bytes(uuid.encode(), "big")
