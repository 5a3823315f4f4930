# SPDX-License-Identifier: Apache-2.0
"""Names everything that may have to be cleared away, from the view's changes; whether it has, is judged later.

Things are named by keys: of a wish (container, image), or of an inbox entry that nobody wishes any more.
"""

import logging

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.workset import Workset
from zun.controllers.reaping.leftovers import Leftovers
from zun.model.errors import Timeout, Unavailable
from zun.store import keys
from zun.store.view import Change, ContainerEntry, View

_LOG = logging.getLogger(__name__)
_AGAIN = Backoff(first_seconds=0.05, cap_seconds=5.0)
_DELETE_IN_WISH = b'"delete"'
_GONE_IN_SEEN = b'"gone"'


class Lookout:
    """Follows the view."""

    def __init__(self, view: View, clock: Clock, leftovers: Leftovers, waiting: Workset[str]) -> None:
        self._view = view
        self._clock = clock
        self._leftovers = leftovers
        self._waiting = waiting

    async def follow(self) -> None:
        """Name things until cancelled: first all that there are, then those that change."""
        changes = self._view.subscribe()
        await self._look_at_all()
        while True:
            for change in await changes.batch():
                if change.kind == "reset":
                    await self._look_at_all()
                else:
                    self._look_at(change)

    async def _look_at_all(self) -> None:
        self._waiting.update(keys.container(entry.uuid) for entry in self._view.containers() if _may_go(entry))
        self._waiting.update(keys.image(image.wish.uuid) for image in self._view.images() if image.wish.absent)
        tried = 0
        while True:
            try:
                self._waiting.update(await self._leftovers.find())
                return
            except (Unavailable, Timeout) as error:
                _LOG.warning("Orders that nodes have carried out are looked for later: %s", error.message)
            await self._clock.sleep(_AGAIN.delay(tried))
            tried += 1

    def _look_at(self, change: Change) -> None:
        if change.kind == "container":
            entry = self._view.container(change.id)
            if entry is not None and _may_go(entry):
                self._waiting.add(keys.container(change.id))
        elif change.kind == "image":
            self._waiting.add(keys.image(change.id))
        elif change.kind == "node":
            self._waiting.update(
                keys.image(image.wish.uuid)
                for image in self._view.images()
                if image.wish.absent and image.wish.node == change.id
            )
        elif change.kind == "other" and not change.deleted:
            named = self._leftovers.named_by(change.id)
            if named is not None:
                self._waiting.add(named)


def _may_go(entry: ContainerEntry) -> bool:
    """Cheap, without decoding; may be wrong in one direction only."""
    return _DELETE_IN_WISH in entry.wish_raw or _GONE_IN_SEEN in entry.seen_raw
