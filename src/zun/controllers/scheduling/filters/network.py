# SPDX-License-Identifier: Apache-2.0
"""Networks: of the node's engine, or of the control plane."""

from collections.abc import Sequence

from zun.controllers.scheduling.addresses import network_of
from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request
from zun.model.container import NetRequest


class NetworkFilter:
    """Every network asked for is there, and can give a fixed address where one is wished."""

    words = "lacks a requested network"

    def applies(self, _request: Request) -> bool:
        """Always: some nodes need a network for those that name none."""
        return True

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes."""
        if node.facts.cni:
            return cluster.networks.wanted(request) is not None
        return not request.nets or all(_serves(node, net) for net in request.nets)

    def explain(self, request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with the networks that are missing somewhere."""
        if not request.nets:
            return f"{self.words} (none was named, and no network is the default one)"
        missing = [net for net in request.nets if not all(_serves(node, net) for node in refused)]
        return f"{self.words} ({', '.join(_describe(net) for net in missing)})"


def _serves(node: NodeState, net: NetRequest) -> bool:
    network = network_of(net, node.facts)
    return network is not None and (network.fixed_addresses or not _is_fixed(net))


def _describe(net: NetRequest) -> str:
    return f"{net.network} with a fixed address" if _is_fixed(net) else net.network


def _is_fixed(net: NetRequest) -> bool:
    return bool(net.v4_fixed_ip or net.v6_fixed_ip)
