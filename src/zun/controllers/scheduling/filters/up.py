# SPDX-License-Identifier: Apache-2.0
"""Nodes that do not answer, or are not to be believed."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class ForcedDownFilter:
    """An operator declared the node down, whatever it says."""

    words = "forced down"

    def applies(self, _request: Request) -> bool:
        """Always."""
        return True

    def check(self, _request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return not node.facts.forced_down

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason."""
        return self.words


class UpFilter:
    """The node's heartbeat is missing."""

    words = "down"

    def applies(self, _request: Request) -> bool:
        """Always."""
        return True

    def check(self, _request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return node.facts.up

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason."""
        return self.words
