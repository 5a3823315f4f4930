# SPDX-License-Identifier: Apache-2.0
"""Nodes that an operator took out of service."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class EnabledFilter:
    """A disabled node keeps what it has and gets nothing new."""

    words = "disabled"

    def applies(self, _request: Request) -> bool:
        """Always."""
        return True

    def check(self, _request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return node.facts.enabled

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        return self.words
