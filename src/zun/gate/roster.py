# SPDX-License-Identifier: Apache-2.0
"""Who is a node at this moment: each node's user, followed from the records that the control plane writes.

A node that was removed, or whose place another machine took, is nobody from the moment that its record changed; who serves it is told.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model import subjects
from zun.model.errors import Internal, Timeout, Unavailable
from zun.model.records import NodeRecord
from zun.store import codec, keys
from zun.store.interface import Compacted, KeyValue, Store

_RETRY = Backoff(first_seconds=0.1, cap_seconds=5.0)
_ASK_AGAIN_SECONDS = 1.0
_MOST_STRANGERS = 10_000
_LOG = logging.getLogger(__name__)


class _Holder(NamedTuple):
    user: str
    revision: int


_NOBODY = _Holder("", 0)


class Roster:
    """Nodes with their users. `run` must be running."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._users: dict[str, _Holder] = {}
        self._strangers: dict[str, float] = {}
        self._filled = asyncio.Event()
        self.gone: Callable[[str], None] = lambda _: None
        """Told of each user that is one no more."""

    async def run(self) -> None:
        """Follow the records until cancelled, through outages of the store."""
        failures = 0
        while True:
            try:
                revision = await self._list()
                failures = 0
                async with self._store.watch(keys.NODES, from_revision=revision + 1) as changes:
                    async for batch in changes:
                        for event in batch.events:
                            self._take_in(event.kv, deleted=event.deleted)
            except Compacted:
                continue
            except (Unavailable, Timeout) as error:
                _LOG.warning("who is a node cannot be followed at this moment: %s", error.message)
            await self._clock.sleep(_RETRY.delay(failures))
            failures += 1

    async def ready(self) -> None:
        """Wait until the records were read."""
        await self._filled.wait()

    async def node_of(self, user: str) -> str | None:
        """The node that this user is now; None for whoever is none. Raises `Unavailable`, `Timeout` when that cannot be told."""
        node = subjects.node_of_user(user)
        if node is None or self._is(node, user):
            return node
        # It may have joined a moment ago. A stranger is looked up once a second, however often it comes.
        now = self._clock.monotonic()
        if self._strangers.get(user, 0.0) > now:
            return None
        found = await self._store.get(keys.node(node))
        if found is not None:
            self._take_in(found, deleted=False)
        if self._is(node, user):
            self._strangers.pop(user, None)
            return node
        if len(self._strangers) >= _MOST_STRANGERS:
            self._strangers.clear()
        self._strangers[user] = now + _ASK_AGAIN_SECONDS
        return None

    def _is(self, node: str, user: str) -> bool:
        holder = self._users.get(node)
        return holder is not None and holder.user == user

    async def _list(self) -> int:
        found = await self._store.range(keys.NODES)
        listed = {kv.key for kv in found.items}
        for node in [node for node in self._users if keys.node(node) not in listed]:
            self._set(node, "", found.revision)
        for kv in found.items:
            self._take_in(kv, deleted=False)
        self._filled.set()
        return found.revision

    def _take_in(self, kv: KeyValue, *, deleted: bool) -> None:
        node = kv.key.removeprefix(keys.NODES)
        try:
            user = "" if deleted else codec.decode(NodeRecord, kv.value).user
        except Internal as error:
            _LOG.error("%s (key %s): nobody is let in as that node", error, kv.key)
            user = ""
        self._set(node, user, kv.mod_revision)

    def _set(self, node: str, user: str, revision: int) -> None:
        before = self._users.get(node, _NOBODY)
        if revision < before.revision:  # a look-up was faster than the watch
            return
        self._users.pop(node, None)
        if user:
            self._users[node] = _Holder(user, revision)
        if before.user and before.user != user:
            _LOG.info("%s is node %s no more", before.user, node)
            self.gone(before.user)
