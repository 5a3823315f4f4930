# SPDX-License-Identifier: Apache-2.0
"""Memory."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class MemoryFilter:
    """Claimed memory never exceeds what the node offers."""

    words = "not enough memory"

    def applies(self, _request: Request) -> bool:
        """Always."""
        return True

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return node.facts.memory_mib - node.memory_mib >= request.memory_mib

    def explain(self, request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        most = max(node.free_memory_mib for node in refused)
        return f"{self.words} ({request.memory_mib} MiB asked, at most {max(0, most)} MiB free)"
