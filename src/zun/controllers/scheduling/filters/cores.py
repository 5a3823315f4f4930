# SPDX-License-Identifier: Apache-2.0
"""The size of the machine."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class CoresFilter:
    """No container can have more cpu than its machine has cores, however much more the node promises to many together."""

    words = "not enough cores"

    def applies(self, request: Request) -> bool:
        """Unless the container gets cpus of its own, or asks for no more than any machine has."""
        return not request.dedicated and request.millicpus > 1000

    def check(self, request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return not node.facts.cpus or request.millicpus <= 1000 * node.facts.cpus

    def explain(self, request: Request, refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        most = max(node.facts.cpus for node in refused)
        return f"{self.words} ({request.millicpus / 1000:g} asked, at most {most} in one machine)"
