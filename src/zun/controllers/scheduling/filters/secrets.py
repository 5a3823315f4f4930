# SPDX-License-Identifier: Apache-2.0
"""Files and logins travel sealed for one node."""

from collections.abc import Sequence

from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.requests import Request


class SecretsFilter:
    """A node without a key cannot be sent secrets."""

    words = "has no key to seal files and logins for"

    def applies(self, request: Request) -> bool:
        """When there is something to seal."""
        return request.secrets

    def check(self, _request: Request, node: NodeState, _cluster: Cluster) -> bool:
        """Whether the node passes."""
        return bool(node.facts.public_key)

    def explain(self, _request: Request, _refused: Sequence[NodeState]) -> str:
        """The reason with its figures."""
        return self.words
