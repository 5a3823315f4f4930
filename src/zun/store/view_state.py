# SPDX-License-Identifier: Apache-2.0
"""What the view knows, and how one change of one key changes it. No I/O; `zun.store.view` feeds it."""

import logging
from collections.abc import Callable, Iterator

from zun.model.errors import Internal
from zun.model.networks import NetworkRecord
from zun.model.records import ActionResult, ImageObservation
from zun.model.registry import RegistryRecord
from zun.store import keys
from zun.store.codec import decode
from zun.store.interface import Event
from zun.store.view_containers import NOTHING, Containers, Raw, Strays
from zun.store.view_entries import HeldImage, HeldNetwork
from zun.store.view_expect import Expectations
from zun.store.view_feed import Change
from zun.store.view_nodes import Nodes
from zun.store.view_owned import Owned
from zun.store.view_reports import check_report

_LOG = logging.getLogger(__name__)

HELD_PREFIXES = (
    keys.CONTAINERS,
    keys.PLACES,
    keys.NODES,
    keys.OUT,
    keys.QUOTAS,
    keys.LIMITS,
    keys.NETWORKS,
    keys.REGISTRIES,
    keys.IMAGES,
)
"""What is listed. The rest of `v/` (history, names, addresses, consoles, leaders) only passes by."""


class ViewState:
    """Everything held, by kind. `apply` is the only way in."""

    def __init__(self, expectations: Expectations, now: Callable[[], float]) -> None:
        self._strays = Strays()
        self.nodes = Nodes(self._seen_differently, now)
        self.containers = Containers(self._strays, self.nodes.away)
        self.images: dict[str, HeldImage] = {}
        self.registries: dict[str, Raw] = {}
        self.networks: dict[str, HeldNetwork] = {}  # by name
        self._committed = Owned()
        self._registered = Owned()
        self.values: dict[str, Raw] = {}  # quotas and limits, by key
        self.project_revisions: dict[str, int] = {}
        self.any_revision = 0
        self._expectations = expectations
        self._routes: dict[str, Callable[[str, bytes | None, int], list[Change]]] = {
            "c": self.containers.wish,
            "p": self.containers.place,
            "out": self._out,
            "node": self.nodes.record,
            "q": self._quota,
            "limit": self._limit,
            "net": self._network,
            "reg": self._registry,
            "i": self._image_wish,
        }

    def apply(self, event: Event) -> list[Change]:
        """Take in one change; returns at least one. A damaged record is logged and not taken in: what was known stays."""
        key, at = event.kv.key, event.kv.mod_revision
        family, _, rest = key[len(keys.VIEW) :].partition("/")
        route = self._routes.get(family)
        changes: list[Change] = []
        if route is not None:
            try:
                changes = route(rest, None if event.deleted else event.kv.value, at)
            except Internal as error:
                _LOG.error("The value of %s cannot be read and is ignored: %s", key, error.message)
        if not changes:
            return [Change("other", key, None, at, event.deleted)]
        self.any_revision = at
        for change in changes:
            if change.project_id is not None:
                self.project_revisions[change.project_id] = at
        return changes

    def held(self) -> Iterator[tuple[str, int]]:
        """Every key that is held, with its revision."""
        yield from self.containers.held()
        yield from self._strays.held()
        yield from self.nodes.held()
        for uuid, image in self.images.items():
            yield keys.image(uuid), image.wish_revision
            yield keys.image_observation(image.node, uuid), image.seen_revision
        for uuid, (_, revision) in self.registries.items():
            yield keys.registry(uuid), revision
        for name, network in self.networks.items():
            yield keys.network(name), network.revision
        for key, (_, revision) in self.values.items():
            yield key, revision

    def raw(self, key: str) -> Raw:
        """The bytes of a held container's wish or place, node's record, image's wish, quota, limit, registry or stray observation."""
        family, _, ident = key[len(keys.VIEW) :].partition("/")
        match family:
            case "c" if (entry := self.containers.get(ident)) is not None:
                return entry.wish_raw, entry.wish_revision
            case "p" if (entry := self.containers.get(ident)) is not None:
                return entry.place_raw, entry.place_revision
            case "node" if (node := self.nodes.get(ident)) is not None:
                return node.record_raw, node.record_revision
            case "i" if (image := self.images.get(ident)) is not None:
                return image.wish_raw, image.wish_revision
            case "reg":
                return self.registries.get(ident, NOTHING)
            case "out":
                return self._strays.get(key)
        return self.values.get(key, NOTHING)

    def quotas(self) -> list[tuple[str, bytes]]:
        """The bytes of each project's usage, by key."""
        return [(key, raw) for key, (raw, _) in self.values.items() if key.startswith(keys.QUOTAS)]

    def images_committed_by(self, project_id: str) -> list[HeldImage]:
        """The images that a project made of its containers; as quick however many others made."""
        return [self.images[uuid] for uuid in self._committed.of(project_id)]

    def registries_of(self, project_id: str | None) -> list[bytes]:
        """The bytes of a project's registries (None: of all)."""
        uuids = self.registries if project_id is None else self._registered.of(project_id)
        return [self.registries[uuid][0] for uuid in uuids]

    def _seen_differently(self, node: str, at: int) -> list[Change]:
        return [
            change for entry in self.containers.index.placed_on(node) for change in self.containers.changed(entry, at)
        ]

    def _out(self, rest: str, raw: bytes | None, at: int) -> list[Change]:
        node, _, what = rest.partition("/")
        family, _, ident = what.partition("/")
        match family:
            case "s":
                return self.containers.observation(node, ident, raw, at)
            case "e":
                self._result(node, ident, raw)
            case "i":
                return self._image_observation(node, ident, raw, at)
            case "info":
                return self.nodes.info(node, raw, at)
            case "alive":
                return self.nodes.heartbeat(node, raw, at)
            case "life":
                return self.nodes.life(node, raw, at)
        return []

    def _result(self, node: str, ident: str, raw: bytes | None) -> None:
        uuid, _, request_id = ident.partition("/")
        waiting = self._expectations.wanted(uuid, request_id)
        entry = self.containers.get(uuid) if waiting else None
        if raw is None or entry is None or entry.node != node:  # only the node of its place speaks for a container
            return
        result = decode(ActionResult, raw)
        for expectation in waiting:
            expectation.offer(result)

    def _image_wish(self, uuid: str, raw: bytes | None, at: int) -> list[Change]:
        image = HeldImage(raw, at) if raw is not None else None
        old = self.images.pop(uuid, None)
        if old is not None:
            self._committed.remove(old.committed_by, uuid)
            self._strays.put(keys.image_observation(old.node, uuid), (old.seen_raw, old.seen_revision))
        if image is not None:
            image.seen_raw, image.seen_revision = self._strays.take(keys.image_observation(image.node, uuid))
            self.images[uuid] = image
            if image.committed_by:
                self._committed.add(image.committed_by, uuid)
        return [Change("image", uuid, None, at, deleted=image is None)]

    def _image_observation(self, node: str, uuid: str, raw: bytes | None, at: int) -> list[Change]:
        if raw is not None:
            check_report(ImageObservation, uuid, raw)
        held = (raw, at) if raw is not None else NOTHING
        image = self.images.get(uuid)
        if image is None or image.node != node:
            self._strays.put(keys.image_observation(node, uuid), held)
            return []
        image.seen_raw, image.seen_revision = held
        return [Change("image", uuid, None, at)]

    def _registry(self, uuid: str, raw: bytes | None, at: int) -> list[Change]:
        old = self.registries.get(uuid, NOTHING)[0]
        project = decode(RegistryRecord, raw or old).project_id if raw or old else None
        if raw is None:
            self.registries.pop(uuid, None)
            self._registered.remove(project or "", uuid)
        else:
            self.registries[uuid] = (raw, at)
            self._registered.add(project or "", uuid)
        return [Change("registry", uuid, project, at, deleted=raw is None)]

    def _network(self, name: str, raw: bytes | None, at: int) -> list[Change]:
        if raw is None:
            self.networks.pop(name, None)
        else:
            self.networks[name] = HeldNetwork(decode(NetworkRecord, raw), at)
        return [Change("network", name, None, at, deleted=raw is None)]

    def _quota(self, project_id: str, raw: bytes | None, at: int) -> list[Change]:
        self._keep(keys.quota(project_id), raw, at)
        return [Change("quota", project_id, project_id, at, deleted=raw is None)]

    def _limit(self, whose: str, raw: bytes | None, at: int) -> list[Change]:
        self._keep(keys.LIMITS + whose, raw, at)
        return [Change("limit", whose, None, at, deleted=raw is None)]

    def _keep(self, key: str, raw: bytes | None, at: int) -> None:
        if raw is None:
            self.values.pop(key, None)
        else:
            self.values[key] = (raw, at)
