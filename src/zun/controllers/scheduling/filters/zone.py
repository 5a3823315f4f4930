# SPDX-License-Identifier: Apache-2.0
"""Availability zones."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class ZoneFilter:
    """Only nodes of the requested zone."""

    words = "not in the requested zone"

    def applies(self, request: Request) -> bool:
        """When a zone was requested."""
        return request.zone is not None

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return request.zone == node.facts.zone

    def explain(self, request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        return f"{self.words} {request.zone}"
