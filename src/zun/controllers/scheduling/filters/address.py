# SPDX-License-Identifier: Apache-2.0
"""Addresses: fixed ones that somebody has already, and networks that are full."""

from collections.abc import Sequence

from zun.controllers.scheduling.addresses import address_keys, fixed
from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class RoomFilter:
    """Every network has an address left."""

    words = "no address is free"

    def applies(self, _request: Request) -> bool:
        """Always: who names no network is given one."""
        return True

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes. An engine finds out by itself."""
        return not node.facts.cni or cluster.networks.has_room(request)

    def explain(self, request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with the networks asked for."""
        return f"{self.words} ({', '.join(net.network for net in request.nets) or 'on the default network'})"


class AddressFilter:
    """Every fixed address asked for is free on the node's network."""

    words = "a requested address is taken"

    def applies(self, request: Request) -> bool:
        """When a fixed address was asked for."""
        return any(map(fixed, request.nets))

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes."""
        return all(cluster.owner(key) in {None, request.uuid} for key in address_keys(request, node.facts))

    def explain(self, request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with the addresses asked for."""
        asked = [ip for net in request.nets for ip in fixed(net)]
        return f"{self.words} ({', '.join(asked)})"
