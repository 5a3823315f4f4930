# SPDX-License-Identifier: Apache-2.0
"""Images made by a commit lie on one node and can be pulled from nowhere."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class ImageFilter:
    """Only the node that has the committed image."""

    words = "does not have the committed image"

    def applies(self, request: Request) -> bool:
        """When an image comes from a commit."""
        return bool(request.local_images)

    def check(self, request: Request, node: NodeState, cluster: Cluster) -> bool:
        """Whether the node passes."""
        return all(cluster.has_image(image, node.facts.name) for image in request.local_images)

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason."""
        return self.words
