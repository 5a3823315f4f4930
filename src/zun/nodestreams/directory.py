# SPDX-License-Identifier: Apache-2.0
"""Finds nodes on other machines: the view says whether a node is there and where; what it says is answered without asking the node."""

from collections.abc import Callable
from typing import NoReturn

from zun.model.errors import Invalid, Unavailable
from zun.nodestreams.addresses import Address, parse_address
from zun.nodestreams.channels import Channels
from zun.nodestreams.client import Metadata, RemoteNode
from zun.store.view import NodeEntry, View


class RemoteDirectory:
    """Implements `NodeDirectory`. `run` must be running."""

    def __init__(
        self, view: View, channels: Channels, *, call_seconds: float, metadata: Callable[[], Metadata] = tuple
    ) -> None:
        self._view = view
        self._channels = channels
        self._call_seconds = call_seconds
        self._metadata = metadata

    def live(self, node: str) -> RemoteNode:
        """The node's port. Raises `Unavailable` with the reason when it is away."""
        address = _address(node, self._view.node(node))
        return RemoteNode(node, address, self._channels, call_seconds=self._call_seconds, metadata=self._metadata)

    async def run(self) -> NoReturn:
        """Look after the connections until cancelled, then close them."""
        try:
            await self._channels.run(self._known)
        finally:
            await self._channels.close()

    def _known(self, node: str) -> bool:
        entry = self._view.node(node)
        return entry is not None and entry.record is not None


def _address(node: str, entry: NodeEntry | None) -> Address:
    if entry is None or entry.record is None:
        raise Unavailable(f"Node {node} is not part of this installation any more; its containers cannot be reached.")
    if entry.record.forced_down:
        raise Unavailable(f"Node {node} was declared down by an operator; its containers cannot be reached.")
    if not entry.alive:
        raise Unavailable(f"Node {node} does not report; try again when it is back.")
    if entry.info is None or not entry.info.stream_address:
        raise Unavailable(
            f"Node {node} has not said where its streams are served; upgrade it, or try again in a moment."
        )
    try:
        return parse_address(entry.info.stream_address)
    except Invalid as error:
        raise Unavailable(
            f"Node {node} told a place for its streams that is none; set its [compute] stream_address."
        ) from error
