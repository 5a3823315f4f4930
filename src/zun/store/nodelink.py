# SPDX-License-Identifier: Apache-2.0
"""NodeLink: the one port between an agent and the control plane.

An agent reads its inbox and its sealed blobs, and writes below `v/out/<node>/`; nothing else. In one process it runs over the
shared store; on a node of a cloud over etcd with the node's own role.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from zun.model.records import ActionResult, ImageObservation, ImageWish, Inbox, NodeInfo, Observation


class InboxBatch(msgspec.Struct, frozen=True):
    """Changes of the inbox. A `snapshot` batch is the whole inbox: what is not in it, is not to be.

    Values are None where the entry was removed. Entries that cannot be read are `damaged` (uuids): leave them as they are.
    `revision`: the inbox is known as of this revision of the store.
    """

    snapshot: bool
    containers: dict[str, Inbox | None]
    images: dict[str, ImageWish | None]
    damaged: frozenset[str] = frozenset()
    revision: int = 0


class Remembered(msgspec.Struct, frozen=True):
    """What this node wrote before: an agent that starts anew goes on from there. `results` are request ids by container."""

    observations: dict[str, Observation]
    images: dict[str, ImageObservation]
    results: dict[str, list[str]]
    info: NodeInfo | None = None


class StoreMark(msgspec.Struct, frozen=True):
    """Which store it is ("" where none is told from another), and how far it has come."""

    id: str
    revision: int


class Forget(msgspec.Struct, frozen=True):
    """Drop all that this node wrote about a container or image (its inbox entry is gone)."""

    uuid: str


class ResultReport(msgspec.Struct, frozen=True):
    """What was done for an action of container `uuid`."""

    uuid: str
    result: ActionResult


class DropResult(msgspec.Struct, frozen=True):
    """Drop an old result of a living container (history is bounded)."""

    uuid: str
    request_id: str


Report = Observation | ResultReport | ImageObservation | Forget | DropResult


class NodeLink(Protocol):
    """What an agent may say and hear."""

    @property
    def node(self) -> str:
        """This node's name."""

    async def store(self) -> StoreMark:
        """Which store the control plane has, as of now. Raises `Unavailable`, `Timeout`."""

    async def remembered(self) -> Remembered:
        """All that this node wrote and nobody removed yet. Raises `Unavailable`, `Timeout`."""

    async def publish(self, info: NodeInfo) -> int:
        """Write the node's account of itself; returns the store's revision then."""

    async def heartbeat(self) -> int:
        """Keep the node alive. 0: it counted as alive all the time until after this call began.

        Else it may have been taken for lost meanwhile, and a new lease was taken at the store's revision that is returned: read the whole inbox
        before anything is started. Raises `Unavailable` or `Timeout` when the control plane cannot be reached.
        """

    def inbox(self) -> AbstractAsyncContextManager[AsyncIterator[InboxBatch]]:
        """The inbox: first a snapshot, then every change; after a gap another snapshot. Raises `Unavailable`."""

    async def report(self, reports: Sequence[Report]) -> None:
        """Write reports, in order, in as few transactions as the store's limits allow. Raises `Unavailable`, `Timeout`."""

    async def fetch_blobs(self, uuid: str) -> dict[int, bytes]:
        """The sealed files and secrets of a container, by number."""

    async def announce_restart(self, grace_seconds: int) -> None:
        """Let the node count as alive for so long without heartbeats: its agent restarts. Raises `Unavailable`, `Timeout`."""

    async def close(self) -> None:
        """Say goodbye: the node stops, and its lease is given back."""
