# SPDX-License-Identifier: Apache-2.0
"""How an API reaches the live things of the one node in its own process; other machines' are reached through `reaching_nodes`."""

from zun.model.errors import Unavailable
from zun.services.nodelive import NodeLive


class OneNode:
    """The directory of a house with one node in the same process."""

    def __init__(self, node: str, live: NodeLive) -> None:
        self._node = node
        self._live = live

    def live(self, node: str) -> NodeLive:
        """The node's live things. Raises `Unavailable` for a node that is not here."""
        if node != self._node:
            raise Unavailable(
                f"Node {node} is not part of this installation any more; its containers cannot be reached."
            )
        return self._live
