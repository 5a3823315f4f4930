# SPDX-License-Identifier: Apache-2.0
"""The node that was asked for."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class HostFilter:
    """Only the requested host, by name or uuid."""

    words = "not the requested host"

    def applies(self, request: Request) -> bool:
        """When a host was requested."""
        return request.host is not None

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return request.host in {node.facts.name, node.facts.uuid}

    def explain(self, request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        return f"{self.words} {request.host}"
