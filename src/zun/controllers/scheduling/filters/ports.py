# SPDX-License-Identifier: Apache-2.0
"""Ports of the node that somebody has already."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.ports import HostPorts
from zun.controllers.scheduling.requests import Request


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
