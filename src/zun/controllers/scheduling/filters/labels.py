# SPDX-License-Identifier: Apache-2.0
"""Hints that name labels of a node."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class LabelFilter:
    """Every hint label:KEY must equal the node's label KEY."""

    words = "lacks the requested labels"

    def applies(self, request: Request) -> bool:
        """When a hint asks for a label."""
        return bool(request.labels)

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return all(node.facts.labels.get(key) == value for key, value in request.labels)

    def explain(self, request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        wanted = ", ".join(f"{key}={value}" for key, value in request.labels)
        return f"{self.words} ({wanted})"
