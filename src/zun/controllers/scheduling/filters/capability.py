# SPDX-License-Identifier: Apache-2.0
"""What an engine can do."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class CapabilityFilter:
    """Only nodes whose engine can do what the container needs."""

    words = "its engine cannot do what is needed"

    def applies(self, request: Request) -> bool:
        """When it needs more than the minimum."""
        return bool(request.capabilities)

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return request.capabilities <= node.facts.capabilities

    def explain(self, request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        missing = sorted(set[str]().union(*(request.capabilities - node.facts.capabilities for node in refused)))
        return f"{self.words} ({', '.join(missing)})"
