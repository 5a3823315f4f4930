# SPDX-License-Identifier: Apache-2.0
"""Fixed addresses that somebody has already."""

from collections.abc import Sequence

from zun.controllers.scheduling.addresses import address_keys
from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class AddressFilter:
    """Every fixed address asked for is free on the node's network."""

    words = "a requested address is taken"

    def applies(self, request: Request) -> bool:
        """When a fixed address was asked for."""
        return any(net.v4_fixed_ip or net.v6_fixed_ip for net in request.nets)

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes."""
        return all(cluster.owner(key) in {None, request.uuid} for key in address_keys(request, node.facts))

    def explain(self, request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with the addresses asked for."""
        asked = [ip for net in request.nets for ip in (net.v4_fixed_ip, net.v6_fixed_ip) if ip]
        return f"{self.words} ({', '.join(asked)})"
