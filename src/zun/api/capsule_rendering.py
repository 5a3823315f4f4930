# SPDX-License-Identifier: Apache-2.0
"""Capsules as bytes for one caller, encoded once per change and for as long as nothing in them ages."""

from collections import OrderedDict

import msgspec

from zun.api.rendering import ContainerViewer, Hidden, links
from zun.api.responses import encode
from zun.base.clock import Clock
from zun.model.caller import Caller
from zun.model.capsule_view import KEYS, RENAMED, beside, capsule_view
from zun.model.container_view import Snapshot, container_view
from zun.model.microversions import Microversion
from zun.model.status_detail import NEVER
from zun.policy.enforcer import Policy
from zun.store.view import ContainerEntry, View

MAX_ITEMS = 1000


class _Item(msgspec.Struct, frozen=True):
    """An encoded capsule without its closing brace and links; good for one revision and until an instant."""

    revision: int
    until: float
    head: bytes


class CapsuleViewer:
    """Renders capsules of the view."""

    def __init__(self, view: View, policy: Policy, clock: Clock, containers: ContainerViewer) -> None:
        self._view = view
        self._policy = policy
        self._clock = clock
        self._containers = containers
        self._items: OrderedDict[tuple[str, Hidden, Hidden, bool], _Item] = OrderedDict()

    def snapshot(self, entry: ContainerEntry) -> Snapshot:
        """The capsule's records with its derived status."""
        return self._containers.snapshot(entry)

    def one(self, entry: ContainerEntry, caller: Caller, version: Microversion, base_url: str) -> bytes:
        """The capsule with its containers and links."""
        hidden = frozenset(
            key.name
            for key in KEYS
            if key.policy and not self._policy.allows(caller, key.policy, project_id=entry.project_id)
        )
        of_containers = self._containers.hidden_from(caller, entry.project_id)
        key = (entry.uuid, hidden, of_containers, version >= RENAMED)
        item, revision = self._items.get(key), self._view.visible_revision(entry)
        if item is None or item.revision != revision or self._clock.now() >= item.until:
            item = self._items[key] = self._encoded(entry, hidden, of_containers, version, revision)
            if len(self._items) > MAX_ITEMS:
                self._items.popitem(last=False)
        return b'%b,"links":%b}' % (item.head, encode(links(base_url, "capsules", entry.uuid)))

    def _encoded(
        self, entry: ContainerEntry, hidden: Hidden, of_containers: Hidden, version: Microversion, revision: int
    ) -> _Item:
        shot, now = self.snapshot(entry), self._clock.now()
        view = capsule_view(shot, version, hidden)
        view["init_containers"], view["containers"] = [], []
        until = NEVER
        for child in shot.record.children:
            part = self._view.child(child.uuid)
            if part is None:
                continue
            of_child = self._containers.snapshot(part)
            shown = container_view(of_child, of_containers)
            shown["status_detail"], ages = self._containers.detail(of_child, now)
            shown |= beside(child)
            view["init_containers" if child.init else "containers"].append(shown)
            until = min(until, ages)
        return _Item(revision, until, encode(view)[:-1])
