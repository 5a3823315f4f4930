# SPDX-License-Identifier: Apache-2.0
"""Containers as bytes for one caller: encoded once per change, with only the ageing text written anew.

What a caller may see (`Visibility`) is asked of the policy once per request and project; each set of hidden keys has its own encodings.
"""

from collections import OrderedDict

from zun.api.responses import encode
from zun.base.clock import Clock
from zun.model.caller import Caller
from zun.model.container_view import GUARDED, Snapshot, container_view, snapshot
from zun.model.states import Status
from zun.model.status_detail import NEVER, status_detail
from zun.policy.enforcer import Policy
from zun.store.view import ContainerEntry, View

Hidden = frozenset[str]

MAX_ITEMS = 5000
"""Encoded containers kept (about 2 kB each)."""


class Item:
    """An encoded container. `head` is everything but the ageing text; `body` is the whole, good until `until`."""

    __slots__ = ("body", "head", "revision", "until")

    def __init__(self, revision: int, head: bytes) -> None:
        self.revision = revision
        self.head = head
        self.body = b""
        self.until = 0.0


class ContainerViewer:
    """Renders containers of the view."""

    def __init__(self, view: View, policy: Policy, clock: Clock, max_items: int = MAX_ITEMS) -> None:
        self._view = view
        self._policy = policy
        self._clock = clock
        self._max_items = max_items
        self._items: OrderedDict[tuple[str, Hidden], Item] = OrderedDict()

    def hidden_from(self, caller: Caller, project_id: str) -> Hidden:
        """The keys of a container of that project that the caller may not see."""
        return frozenset(
            key.name for key in GUARDED if not self._policy.allows(caller, key.policy, project_id=project_id)
        )

    def snapshot(self, entry: ContainerEntry) -> Snapshot:
        """The container's records with its derived status."""
        return snapshot(entry.record(), entry.place(), entry.seen(), self._view.derive(entry))

    def item(self, entry: ContainerEntry, hidden: Hidden, now: float) -> Item:
        """The container as lists show it, without links."""
        key = (entry.uuid, hidden)
        revision = self._view.visible_revision(entry)
        item = self._items.get(key)
        if item is None or item.revision != revision:
            item = self._encoded(entry, hidden, revision, now)
            self._items[key] = item
            if len(self._items) > self._max_items:
                self._items.popitem(last=False)
        elif now >= item.until:
            self._set_detail(item, self.snapshot(entry), now)
        return item

    def listed(self, entries: list[ContainerEntry], caller: Caller) -> tuple[bytes, float]:
        """The containers as a JSON array, and until when it stays true by the clock."""
        now = self._clock.now()
        hidden_by_project: dict[str, Hidden] = {}
        bodies = []
        until = NEVER
        for entry in entries:
            hidden = hidden_by_project.get(entry.project_id)
            if hidden is None:
                hidden = hidden_by_project[entry.project_id] = self.hidden_from(caller, entry.project_id)
            item = self.item(entry, hidden, now)
            bodies.append(item.body)
            until = min(until, item.until)
        return b"[%b]" % b",".join(bodies), until

    def one(self, entry: ContainerEntry, caller: Caller, base_url: str) -> tuple[bytes, float]:
        """The container with its links, and until when it stays true by the clock."""
        item = self.item(entry, self.hidden_from(caller, entry.project_id), self._clock.now())
        return b'%b,"links":%b}' % (item.body[:-1], encode(links(base_url, "containers", entry.uuid))), item.until

    def _encoded(self, entry: ContainerEntry, hidden: Hidden, revision: int, now: float) -> Item:
        shot = self.snapshot(entry)
        item = Item(revision, encode(container_view(shot, hidden))[:-1])
        self._set_detail(item, shot, now)
        return item

    @staticmethod
    def detail(shot: Snapshot, now: float) -> tuple[str | None, float]:
        """The `status_detail` of a container, and until when. What a node last saw means nothing once it is lost."""
        if shot.derived.status is Status.UNKNOWN:
            return None, NEVER
        return status_detail(shot.seen, now)

    @classmethod
    def _set_detail(cls, item: Item, shot: Snapshot, now: float) -> None:
        text, item.until = cls.detail(shot, now)
        item.body = b'%b,"status_detail":%b}' % (item.head, encode(text))


def links(base_url: str, collection: str, ident: str) -> list[dict[str, str]]:
    """The two links of a thing."""
    return [
        {"rel": "self", "href": f"{base_url}/v1/{collection}/{ident}"},
        {"rel": "bookmark", "href": f"{base_url}/{collection}/{ident}"},
    ]
