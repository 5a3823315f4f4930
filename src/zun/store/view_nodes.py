# SPDX-License-Identifier: Apache-2.0
"""The nodes of the view: what they say, what is said of them, who is gone, and whether so many are that nothing is to be moved."""

from collections.abc import Callable, Iterator

from zun.model.errors import Internal
from zun.model.moving import AliveRecord, too_many_gone
from zun.model.records import NodeRecord
from zun.model.status import AWAY, Away
from zun.store import keys
from zun.store.codec import decode
from zun.store.view_entries import ABSENT, NodeEntry
from zun.store.view_feed import Change
from zun.store.view_reports import read_info

_SIGN_OF_LIFE_BYTES = 4096
"""A longer one is taken for a sign of life and not read."""


class Nodes:
    """All nodes. Each writer returns what changed for those who look, the node's containers included: they are seen differently then."""

    def __init__(self, seen_differently: Callable[[str, int], list[Change]], now: Callable[[], float]) -> None:
        """`seen_differently` tells what of a node's containers changes with it at a revision."""
        self._entries: dict[str, NodeEntry] = {}
        self._by_name: list[NodeEntry] | None = None
        self._seen_differently = seen_differently
        self._now = now
        self._calm_at = 0.0
        self.counted = 0
        """How many nodes are registered and not declared down."""
        self.gone = 0
        """How many of those do not report."""

    @property
    def held_back(self) -> bool:
        """Whether so many are gone that nothing is to be moved."""
        return too_many_gone(self.gone, self.counted)

    def get(self, name: str) -> NodeEntry | None:
        """A node."""
        return self._entries.get(name)

    def by_name(self) -> list[NodeEntry]:
        """All nodes by name; sorted again only when one came or went."""
        if self._by_name is None:
            self._by_name = sorted(self._entries.values(), key=lambda node: node.name)
        return self._by_name

    def away(self, name: str) -> Away | None:
        """What people are told of a node that does not report; None of one that does."""
        node = self._entries.get(name)
        if node is None:
            return AWAY
        if node.alive:
            return None
        forced = node.record is not None and node.record.forced_down
        # After too many were gone, who is still away is given the whole delay again (zun.controllers.nodes.patience).
        since = node.lost_at if node.lost_at is None or forced else max(node.lost_at, self._calm_at)
        return Away(since, forced, self.held_back)

    def held(self) -> Iterator[tuple[str, int]]:
        """Every key with its revision."""
        for name, node in self._entries.items():
            yield keys.node_info(name), node.info_revision
            yield keys.node(name), node.record_revision
            yield keys.node_alive(name), node.heartbeat_revision
            yield keys.node_life(name), node.life_revision

    def info(self, name: str, raw: bytes | None, at: int) -> list[Change]:
        """It gave an account of itself. Raises `Internal` for one that is not believed."""
        info = read_info(name, raw) if raw is not None else None

        def edit(node: NodeEntry) -> None:
            node.info, node.info_revision = info, at if info else 0

        return self._changed(name, edit, at)

    def record(self, name: str, raw: bytes | None, at: int) -> list[Change]:
        """Operators, or the service, said something of it."""
        record = decode(NodeRecord, raw) if raw is not None else None

        def edit(node: NodeEntry) -> None:
            node.record, node.record_raw, node.record_revision = record, raw or ABSENT, at if record else 0

        return self._changed(name, edit, at)

    def heartbeat(self, name: str, raw: bytes | None, at: int) -> list[Change]:
        """It came, restarts, or vanished."""

        def edit(node: NodeEntry) -> None:
            node.lost_at = None if raw is not None else self._now()
            node.heartbeat_revision = at if raw is not None else 0
            node.restarting = raw is not None and _sign_of_life(raw).restarting

        return self._changed(name, edit, at)

    def life(self, name: str, raw: bytes | None, at: int) -> list[Change]:
        """It took a lease."""

        def edit(node: NodeEntry) -> None:
            node.life_revision = at if raw is not None else 0

        return self._changed(name, edit, at)

    def _changed(self, name: str, edit: Callable[[NodeEntry], None], at: int) -> list[Change]:
        node = self._entries.get(name)
        if node is None:
            node = self._entries[name] = NodeEntry(name)
            self._by_name = None
        was_alive, was_held_back = node.alive, self.held_back
        self._count(node, -1)
        edit(node)
        self._count(node, 1)
        if node.empty:
            del self._entries[name]
            self._by_name = None
        changes = [Change("node", name, None, at, deleted=node.empty)]
        if node.alive != was_alive:
            changes += self._differs(node, at)
        if self.held_back != was_held_back:
            self._calm_at = self._now() if was_held_back else self._calm_at
            for other in self._entries.values():
                if not other.alive and other is not node:
                    changes += self._differs(other, at)
        return changes

    def _differs(self, node: NodeEntry, at: int) -> list[Change]:
        node.liveness_revision = at
        return self._seen_differently(node.name, at)

    def _count(self, node: NodeEntry, sign: int) -> None:
        if node.counts:
            self.counted += sign
            self.gone += sign if node.gone else 0


def _sign_of_life(raw: bytes) -> AliveRecord:
    """What it says. One that cannot be read is still a sign of life."""
    try:
        return decode(AliveRecord, raw) if len(raw) <= _SIGN_OF_LIFE_BYTES else AliveRecord()
    except Internal:
        return AliveRecord()
