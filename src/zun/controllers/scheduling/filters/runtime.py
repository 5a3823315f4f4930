# SPDX-License-Identifier: Apache-2.0
"""OCI runtimes."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class RuntimeFilter:
    """Only nodes whose engine has the requested runtime."""

    words = "lacks the requested runtime"

    def applies(self, request: Request) -> bool:
        """When a runtime was requested."""
        return request.runtime is not None

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return request.runtime in node.facts.runtimes

    def explain(self, request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        return f"{self.words} {request.runtime}"
