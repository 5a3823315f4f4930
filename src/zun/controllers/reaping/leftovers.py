# SPDX-License-Identifier: Apache-2.0
"""Orders in inboxes for things nobody wishes there any more: taken out once the node says that the thing is gone.

They are left when something is deleted, or placed elsewhere, while its node is away. The node forgets the thing when its order is taken out.
"""

from zun.base.clock import Clock
from zun.controllers.reaping.judging import IMAGE_GONE
from zun.model.errors import Internal
from zun.model.records import ImageObservation, Observation, SeenState
from zun.store import codec, keys
from zun.store.interface import Compare, Delete, Op, Put, Store, unchanged
from zun.store.view import View

CONTAINER, IMAGE = "c", "i"
_PAGE = 1000


class Leftovers:
    """Finds and judges them. A leftover is named by its key in an inbox."""

    def __init__(self, store: Store, view: View, clock: Clock) -> None:
        self._store = store
        self._view = view
        self._clock = clock

    async def find(self) -> list[str]:
        """All inbox entries of things nobody wishes; for the beginning, and when changes were missed."""
        found: list[str] = []
        after, more = "", True
        while more:
            page = await self._store.range(keys.INBOX, start_after=after, limit=_PAGE, keys_only=True)
            found += [item.key for item in page.items if _is_order(item.key) and not self._is_wished(item.key)]
            after, more = (page.items[-1].key if page.items else ""), page.more
        return found

    def named_by(self, observation_key: str) -> str | None:
        """The inbox entry that belongs to what a node wrote; None when something wishes the thing, or it is no such key."""
        node, kind, uuid = _parts(observation_key.removeprefix(keys.OUT))
        if not observation_key.startswith(keys.OUT) or kind not in {"s", "i"} or not uuid:
            return None
        key = keys.inbox(node, uuid) if kind == "s" else keys.image_inbox(node, uuid)
        return None if self._is_wished(key) else key

    async def ops(self, inbox_key: str) -> tuple[list[Compare], list[Op]]:
        """What takes the order out, if its node says that the thing is gone, as long as nobody wrote another one; else nothing."""
        if self._is_wished(inbox_key) or not self._is_gone(inbox_key):
            return [], []
        found = await self._store.get(inbox_key)
        if found is None:
            return [], []
        touched = Put(f"{keys.TOUCHED}reaping", str(self._clock.now()).encode())
        _, _, uuid = _parts(inbox_key.removeprefix(keys.INBOX))
        _, placed = self._view.raw(keys.place(uuid))  # it may have been placed there again since the view saw it
        return [unchanged(inbox_key, found.mod_revision), unchanged(keys.place(uuid), placed)], [
            Delete(inbox_key),
            touched,
        ]

    def _is_wished(self, inbox_key: str) -> bool:
        node, kind, uuid = _parts(inbox_key.removeprefix(keys.INBOX))
        if kind == IMAGE:
            return self._view.image(uuid) is not None
        entry = self._view.container(uuid)
        return entry is not None and entry.node == node

    def _is_gone(self, inbox_key: str) -> bool:
        node, kind, uuid = _parts(inbox_key.removeprefix(keys.INBOX))
        key = keys.image_observation(node, uuid) if kind == IMAGE else keys.observation(node, uuid)
        raw, _ = self._view.raw(key)
        if raw is None:
            return False
        try:
            if kind == IMAGE:
                return codec.decode(ImageObservation, raw).state == IMAGE_GONE
            return codec.decode(Observation, raw).state is SeenState.GONE
        except Internal:
            return False


def _is_order(inbox_key: str) -> bool:
    """Whether it is about a container or an image; a node's inbox holds its certificate, too."""
    return _parts(inbox_key.removeprefix(keys.INBOX))[1] in {CONTAINER, IMAGE}


def _parts(rest: str) -> tuple[str, str, str]:
    """`<node>/<kind>/<uuid>`."""
    node, _, tail = rest.partition("/")
    kind, _, uuid = tail.partition("/")
    return node, kind, uuid
