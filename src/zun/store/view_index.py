# SPDX-License-Identifier: Apache-2.0
"""The view's indexes of containers and capsules: all, by project, by node, by name, by status; each gives the oldest first.

The two never stand in one list for people; by node and by status they do, for those who run them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import attrgetter

import msgspec

from zun.model.children import RecordKind
from zun.model.states import Status
from zun.model.status import Derived
from zun.store.view_entries import ContainerEntry

_AGE = attrgetter("created_at", "uuid")

Derive = Callable[[ContainerEntry], Derived]


class Ordered:
    """Containers by age. The order is kept as a list; it is made again only after the late arrival of an old one,
    for sorting a hundred thousand holds up every request."""

    __slots__ = ("_by_uuid", "_ordered")

    def __init__(self) -> None:
        self._by_uuid: dict[str, ContainerEntry] = {}
        self._ordered: list[ContainerEntry] | None = None

    def __len__(self) -> int:
        return len(self._by_uuid)

    def add(self, entry: ContainerEntry) -> None:
        """Take one in (again)."""
        known = entry.uuid in self._by_uuid
        self._by_uuid[entry.uuid] = entry
        if known or self._ordered is None:
            return
        if self._ordered and _AGE(entry) < _AGE(self._ordered[-1]):
            self._ordered = None
        else:
            self._ordered.append(entry)

    def remove(self, entry: ContainerEntry) -> None:
        """Forget one."""
        if self._by_uuid.pop(entry.uuid, None) is None or self._ordered is None:
            return
        at = bisect_left(self._ordered, _AGE(entry), key=_AGE)
        if at < len(self._ordered) and self._ordered[at] is entry:
            del self._ordered[at]
        else:
            self._ordered = None

    def oldest_first(self) -> list[ContainerEntry]:
        """All, by creation time and uuid. The list is shared: do not change it, and do not keep it over an await."""
        if self._ordered is None:
            self._ordered = sorted(self._by_uuid.values(), key=_AGE)
        return self._ordered


class Index:
    """Containers by everything that a request may ask for; capsules beside them."""

    def __init__(self) -> None:
        self._of_kind = {RecordKind.CONTAINER: Ordered(), RecordKind.CAPSULE: Ordered()}
        self._by_project: dict[tuple[RecordKind, str], Ordered] = {}
        self._capsules_of: dict[str, ContainerEntry] = {}
        self._by_node: dict[str, dict[str, ContainerEntry]] = {}
        self._by_name = ByName()
        self._statuses = StatusIndex()

    def add(self, entry: ContainerEntry) -> None:
        """Take in a container under its present project, node and name."""
        self._of_kind[entry.kind].add(entry)
        self._by_project.setdefault((entry.kind, entry.project_id), Ordered()).add(entry)
        self._capsules_of.update(dict.fromkeys(entry.children, entry))
        if entry.node:
            self._by_node.setdefault(entry.node, {})[entry.uuid] = entry
        self._by_name.add(entry)
        self._statuses.touch(entry)

    def remove(self, entry: ContainerEntry) -> None:
        """Forget a container; call it before its project, node or name changes."""
        self._of_kind[entry.kind].remove(entry)
        if (project := self._by_project.get((entry.kind, entry.project_id))) is not None:
            project.remove(entry)
            if not project:
                del self._by_project[entry.kind, entry.project_id]
        for child in entry.children:
            if self._capsules_of.get(child) is entry:
                del self._capsules_of[child]
        self._leave_node(entry.uuid, entry.node)
        self._by_name.remove(entry.uuid, entry.name)
        self._statuses.forget(entry)

    def moved(self, entry: ContainerEntry, old_node: str, old_name: str) -> None:
        """A known container changed its node or its name; its project and age never change."""
        if old_node != entry.node:
            self._leave_node(entry.uuid, old_node)
            if entry.node:
                self._by_node.setdefault(entry.node, {})[entry.uuid] = entry
        if old_name != entry.name:
            self._by_name.remove(entry.uuid, old_name)
            self._by_name.add(entry)
        self._statuses.touch(entry)

    def touched(self, entry: ContainerEntry) -> None:
        """Its status may have changed."""
        self._statuses.touch(entry)

    def everything(self) -> list[ContainerEntry]:
        """All containers, then all capsules."""
        return [entry for ordered in self._of_kind.values() for entry in ordered.oldest_first()]

    def of_kind(self, kind: RecordKind, project_id: str | None) -> list[ContainerEntry]:
        """A project's (None: everybody's) of one kind, oldest first. The list is shared: do not change it, do not keep it over an await."""
        if project_id is None:
            return self._of_kind[kind].oldest_first()
        project = self._by_project.get((kind, project_id))
        return project.oldest_first() if project is not None else []

    def capsule_of(self, child_uuid: str) -> ContainerEntry | None:
        """The capsule that has this container."""
        return self._capsules_of.get(child_uuid)

    def on_node(self, node: str) -> Iterable[ContainerEntry]:
        """The containers placed on a node, oldest first."""
        return sorted(self._by_node.get(node, {}).values(), key=_AGE)

    def placed_on(self, node: str) -> Iterable[ContainerEntry]:
        """The same in no order."""
        return self._by_node.get(node, {}).values()

    def named(self, name: str) -> Iterable[ContainerEntry]:
        """The containers with a name, oldest first."""
        return sorted(self._by_name.get(name), key=_AGE)

    def with_status(self, status: Status, derive: Derive) -> list[ContainerEntry]:
        """The containers in a status, oldest first."""
        return sorted(self._statuses.get(status, self.everything, derive), key=_AGE)

    def counts(self, derive: Derive) -> "Counts":
        """How many containers are in each status."""
        return self._statuses.counts(self.everything, derive)

    def _leave_node(self, uuid: str, node: str) -> None:
        if (there := self._by_node.get(node)) is not None:
            there.pop(uuid, None)
            if not there:
                del self._by_node[node]


class ByName:
    """Containers by name. Most names are one container's, which must cost little; some are very many's, which must not be slow."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[str, ContainerEntry | dict[str, ContainerEntry]] = {}

    def add(self, entry: ContainerEntry) -> None:
        """Take one in (again) under its present name."""
        there = self._held.get(entry.name)
        if there is None:
            self._held[entry.name] = entry
        elif isinstance(there, dict):
            there[entry.uuid] = entry
        elif there is not entry:
            self._held[entry.name] = {there.uuid: there, entry.uuid: entry}

    def remove(self, uuid: str, name: str) -> None:
        """Forget one that had this name."""
        there = self._held.get(name)
        if isinstance(there, dict):
            there.pop(uuid, None)
            if there:
                return
        elif there is None or there.uuid != uuid:
            return
        del self._held[name]

    def get(self, name: str) -> Iterable[ContainerEntry]:
        """All with this name, in no order."""
        there = self._held.get(name, {})
        return there.values() if isinstance(there, dict) else (there,)


class Counts(msgspec.Struct, frozen=True):
    """How many containers are in each status, and how many have work to do."""

    by_status: dict[Status, int]
    pending: int


class StatusIndex:
    """Containers by status. A status costs decoding, so it is derived when asked for, and then only of those that changed."""

    def __init__(self) -> None:
        self._filed: dict[str, Derived] | None = None
        self._by_status: dict[Status, dict[str, ContainerEntry]] = {status: {} for status in Status}
        self._pending = 0
        self._stale: dict[str, ContainerEntry] = {}

    def touch(self, entry: ContainerEntry) -> None:
        """A container came or changed. Before the first question nothing is remembered."""
        if self._filed is not None:
            self._stale[entry.uuid] = entry

    def forget(self, entry: ContainerEntry) -> None:
        """A container went."""
        if self._filed is not None:
            self._stale.pop(entry.uuid, None)
            self._take_out(self._filed, entry.uuid)

    def get(
        self, status: Status, everything: Callable[[], Iterable[ContainerEntry]], derive: Derive
    ) -> Iterable[ContainerEntry]:
        """The containers in a status, in no order."""
        self._catch_up(everything, derive)
        return self._by_status[status].values()

    def counts(self, everything: Callable[[], Iterable[ContainerEntry]], derive: Derive) -> Counts:
        """How many there are."""
        self._catch_up(everything, derive)
        return Counts({status: len(held) for status, held in self._by_status.items()}, self._pending)

    def _catch_up(self, everything: Callable[[], Iterable[ContainerEntry]], derive: Derive) -> None:
        if self._filed is None:
            self._filed = {}
            self._stale = {entry.uuid: entry for entry in everything()}
        for uuid, entry in self._stale.items():
            self._take_out(self._filed, uuid)
            found = self._filed[uuid] = derive(entry)
            self._by_status[found.status][uuid] = entry
            self._pending += found.task_state is not None
        self._stale = {}

    def _take_out(self, filed: dict[str, Derived], uuid: str) -> None:
        old = filed.pop(uuid, None)
        if old is not None:
            del self._by_status[old.status][uuid]
            self._pending -= old.task_state is not None
