# SPDX-License-Identifier: Apache-2.0
"""Ports of the node: those that somebody has already, and networks that they cannot lead to."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.ports import HostPorts
from zun.controllers.scheduling.requests import Request
from zun.model.publishing import host_address


class PortsFilter:
    """Every port of the node asked for is free, and where none was named there is one to choose."""

    words = "a port is published there already"

    def __init__(self, ports: HostPorts) -> None:
        self._ports = ports

    def applies(self, request: Request) -> bool:
        """When it publishes ports."""
        return bool(request.published)

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes."""
        return self._ports.grant(request, node.facts, cluster) is not None

    def explain(self, request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with the ports asked for."""
        asked = [f"{port.host_port}/{port.protocol}" for port in request.published if port.host_port]
        chosen = [] if len(asked) == len(request.published) else ["none is left to choose"]
        return f"{self.words} ({', '.join(asked + chosen)})"


class WayInFilter:
    """A published port leads to the first network, which needs an address of the node for that: a gateway, of the version of what is published at."""

    words = "its ports cannot lead to the network"

    def applies(self, request: Request) -> bool:
        """When it publishes ports."""
        return bool(request.published)

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes. An engine's own networks are its own business."""
        wanted = cluster.networks.wanted(request) if node.facts.cni else None
        if not wanted:
            return True
        at = host_address(node.facts.publish_address)
        versions = {subnet.network.version for subnet in wanted[0].known.record.subnets if subnet.gateway}
        return bool(versions & ({6 if ":" in at else 4} if at else {4, 6}))

    def explain(self, _request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with the addresses at which they publish."""
        told = sorted({node.facts.publish_address for node in refused})
        return f"{self.words} ({', '.join(told)}; that has no gateway of this IP version)"
