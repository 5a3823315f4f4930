# SPDX-License-Identifier: Apache-2.0
"""Nodes that containers leave."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class DrainingFilter:
    """An operator wants the node empty."""

    words = "drained"

    def applies(self, _request: Request) -> bool:
        """Always."""
        return True

    def check(self, _request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return not node.facts.draining

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        return self.words


class LeftFilter:
    """The node that this container leaves."""

    words = "the node it leaves"

    def applies(self, request: Request) -> bool:
        """When it leaves one."""
        return request.leaves is not None

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return request.leaves != node.name

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        return self.words
