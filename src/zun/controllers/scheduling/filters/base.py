# SPDX-License-Identifier: Apache-2.0
"""What a filter is: a reason for which a node cannot have a container, that can say itself in words."""

from collections.abc import Sequence
from typing import Protocol

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class Filter(Protocol):
    """One reason. `words` is the reason in short, as in "3 of 5 nodes: not enough memory"."""

    @property
    def words(self) -> str:
        """The reason in short."""

    def applies(self, request: Request) -> bool:
        """Whether this request can be refused for this reason at all."""

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes."""

    def explain(self, request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with its figures, for the nodes (at least one) that did not pass."""
