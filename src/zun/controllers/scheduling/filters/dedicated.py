# SPDX-License-Identifier: Apache-2.0
"""Whole cpus for one container."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class DedicatedFilter:
    """Enough cpus that no other container has."""

    words = "not enough dedicated cpus"

    def applies(self, request: Request) -> bool:
        """When the container asks for cpus of its own."""
        return request.dedicated > 0

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return len(node.facts.dedicated - node.taken_cpus) >= request.dedicated

    def explain(self, request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        most = max(len(node.free_cpus) for node in refused)
        return f"{self.words} ({request.dedicated} asked, at most {most} free)"
