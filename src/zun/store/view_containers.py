# SPDX-License-Identifier: Apache-2.0
"""The containers of the view: how wishes, places and observations come together, in whatever order they arrive."""

from collections.abc import Callable, Iterator

from zun.model.children import RecordKind
from zun.model.records import Observation
from zun.model.status import AWAY, Away, Derived, derive_status
from zun.store import keys
from zun.store.view_entries import ABSENT, ContainerEntry
from zun.store.view_feed import Change
from zun.store.view_index import Index
from zun.store.view_reports import check_report

Raw = tuple[bytes, int]
"""A value with the revision it was written at."""

NOTHING: Raw = (ABSENT, 0)


class Strays:
    """Observations by nodes that are not, or not yet, the place of what they saw; by key."""

    def __init__(self) -> None:
        self._held: dict[str, Raw] = {}

    def take(self, key: str) -> Raw:
        """What was held, which belongs to somebody now."""
        return self._held.pop(key, NOTHING)

    def put(self, key: str, held: Raw) -> None:
        """Hold (or forget: `NOTHING`) an observation."""
        if held[1]:
            self._held[key] = held
        else:
            self._held.pop(key, None)

    def get(self, key: str) -> Raw:
        """What is held."""
        return self._held.get(key, NOTHING)

    def held(self) -> Iterator[tuple[str, int]]:
        """Every key with its revision."""
        return ((key, revision) for key, (_, revision) in self._held.items())


class Containers:
    """All containers. Each writer returns what changed for those who look."""

    def __init__(self, strays: Strays, away: Callable[[str], Away | None]) -> None:
        """`away` tells of a node that does not report; None of one that does."""
        self.index = Index()
        self._entries: dict[str, ContainerEntry] = {}
        self._strays = strays
        self._away = away
        self._pool: dict[Derived, Derived] = {}

    def get(self, uuid: str) -> ContainerEntry | None:
        """A container that is wished for."""
        entry = self._entries.get(uuid)
        return entry if entry is not None and entry.wish_revision else None

    def derive(self, entry: ContainerEntry) -> Derived:
        """The container's status, remembered until something changes. Raises `Internal` when a record is damaged."""
        if entry.derived is None:
            away = self._away(entry.node)
            found = derive_status(
                entry.record(), entry.place(), entry.seen(), node_alive=away is None, away=away or AWAY
            )
            entry.derived = found if found.reason else self._pool.setdefault(found, found)
        return entry.derived

    def held(self) -> Iterator[tuple[str, int]]:
        """Every key that is held, with its revision."""
        for uuid, entry in self._entries.items():
            if entry.wish_revision:
                yield keys.container(uuid), entry.wish_revision
            if entry.place_revision:
                yield keys.place(uuid), entry.place_revision
            if entry.seen_revision:
                yield keys.observation(entry.node, uuid), entry.seen_revision

    def wish(self, uuid: str, raw: bytes | None, at: int) -> list[Change]:
        """A wish was written, or (None) taken away."""
        entry = self._entries.get(uuid)
        if raw is None:
            return self._unwish(entry, at) if entry is not None and entry.wish_revision else []
        if entry is None:
            entry = ContainerEntry(uuid)
        known, old_name = entry.wish_revision, entry.name
        entry.set_wish(raw, at)
        self._entries[uuid] = entry
        if known:
            self.index.moved(entry, entry.node, old_name)
        else:
            self.index.add(entry)
        return self.changed(entry, at)

    def place(self, uuid: str, raw: bytes | None, at: int) -> list[Change]:
        """A place was written, or (None) taken away."""
        entry = self._entries.get(uuid) or ContainerEntry(uuid)
        old_node = entry.node
        entry.set_place(raw or ABSENT, at if raw else 0)
        if old_node != entry.node:
            if entry.seen_revision:
                self._strays.put(keys.observation(old_node, uuid), (entry.seen_raw, entry.seen_revision))
            entry.set_seen(*self._strays.take(keys.observation(entry.node, uuid)))
        if not entry.wish_revision:
            self._keep_while_placed(entry)
            return []
        self.index.moved(entry, old_node, entry.name)
        return self.changed(entry, at)

    def observation(self, node: str, uuid: str, raw: bytes | None, at: int) -> list[Change]:
        """A node wrote, or (None) dropped, what it sees. Raises `Internal` for what cannot be believed; nothing changes then."""
        if raw is not None:
            check_report(Observation, uuid, raw)
        held = (raw, at) if raw is not None else NOTHING
        entry = self._entries.get(uuid)
        if entry is None or entry.node != node:
            self._strays.put(keys.observation(node, uuid), held)
            return []
        entry.set_seen(*held)
        return self.changed(entry, at) if entry.wish_revision else []

    def changed(self, entry: ContainerEntry, at: int) -> list[Change]:
        """What is shown of a container may differ now."""
        entry.derived = None
        self.index.touched(entry)
        return [Change("container", entry.uuid, entry.project_id, at, capsule=_is_capsule(entry))]

    def _unwish(self, entry: ContainerEntry, at: int) -> list[Change]:
        self.index.remove(entry)
        entry.wish_raw, entry.wish_revision, entry.derived = ABSENT, 0, None
        self._keep_while_placed(entry)
        return [Change("container", entry.uuid, entry.project_id, at, deleted=True, capsule=_is_capsule(entry))]

    def _keep_while_placed(self, entry: ContainerEntry) -> None:
        """Without wish and place nothing but a stray observation is left."""
        if entry.place_revision:
            self._entries[entry.uuid] = entry
            return
        self._entries.pop(entry.uuid, None)
        if entry.seen_revision:
            self._strays.put(keys.observation(entry.node, entry.uuid), (entry.seen_raw, entry.seen_revision))


def _is_capsule(entry: ContainerEntry) -> bool:
    return entry.kind is RecordKind.CAPSULE
