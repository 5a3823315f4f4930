# SPDX-License-Identifier: Apache-2.0
"""Shared cpu time."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class CpuFilter:
    """Claimed cpu time never exceeds what the node offers to containers without cpus of their own."""

    words = "not enough cpu"

    def applies(self, request: Request) -> bool:
        """Unless the container gets cpus of its own."""
        return not request.dedicated

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return node.shared_millicpus - node.millicpus >= request.millicpus

    def explain(self, request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        most = max(0, *(node.free_millicpus for node in refused))
        return f"{self.words} ({request.millicpus / 1000:g} asked, at most {most / 1000:g} free)"
