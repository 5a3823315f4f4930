# SPDX-License-Identifier: Apache-2.0
"""Images made by a commit lie on one node and can be pulled from nowhere."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class ImageFilter:
    """Only the node that has the committed image."""

    words = "does not have the committed image"

    def applies(self, request: Request) -> bool:
        """When the image comes from a commit."""
        return request.local_image is not None

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes."""
        return request.local_image is not None and cluster.has_image(request.local_image, node.facts.name)

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason."""
        return self.words
