# SPDX-License-Identifier: Apache-2.0
"""Tenant isolation: which projects may share a node."""

from collections.abc import Sequence
from typing import Literal

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class IsolationFilter:
    """Neighbours of other projects only behind sandboxes (`sandboxed`), or not at all (`exclusive`)."""

    words = "has containers of another project"

    def __init__(self, mode: Literal["sandboxed", "exclusive"]) -> None:
        self._mode = mode

    def alone(self, request: Request, cluster: Cluster) -> bool:
        """Whether the container's project must have its node for itself."""
        return self._mode == "exclusive" or not cluster.tenants.sandboxed(request.tenant)

    def applies(self, _request: Request) -> bool:
        """Always."""
        return True

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes."""
        if self.alone(request, cluster):
            return not cluster.tenants.others(node.name, request.project_id)
        return not cluster.tenants.exposed_others(node.name, request.project_id)

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with the mode."""
        if self._mode == "exclusive":
            return f"{self.words} and isolation is exclusive"
        return f"{self.words}, isolation is sandboxed, and not all of them and this one have a sandboxed runtime"
