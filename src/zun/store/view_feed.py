# SPDX-License-Identifier: Apache-2.0
"""The view's changes as a feed: bounded, and resumable by revision.

The last changes lie in one ring that all subscribers read with a cursor of their own; a slow subscriber costs nothing and,
when the ring has overtaken it, is told to begin again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import islice

import msgspec

RING_CHANGES = 16_384


class Change(msgspec.Struct, frozen=True):
    """Something changed. `kind` is container, node, network, image, quota, registry, limit, reset or other.

    `id` is the uuid, node, network's name, project or (other) the key. `deleted` tells of the thing, not of one of its records: a container is
    deleted when its wish is. A `capsule` is of the kind container, too. `reset`: changes were missed; look at everything as it is at `revision` or later.
    """

    kind: str
    id: str
    project_id: str | None
    revision: int
    deleted: bool = False
    capsule: bool = False


class Feed:
    """The ring. `floor` is the revision after which it holds every change."""

    def __init__(self, size: int = RING_CHANGES) -> None:
        self._ring: deque[Change] = deque()
        self._size = size
        self._dropped = 0
        self._woken = asyncio.Event()
        self.floor = 0
        self.revision = 0

    def begin(self, revision: int) -> None:
        """The view is filled as of `revision`; from now on changes are kept."""
        self.floor = self.revision = revision

    def publish(self, changes: Sequence[Change], revision: int) -> None:
        """Add changes (in order of revision) after which the view stands at `revision`, and wake who waits."""
        self._ring.extend(changes)
        self.revision = revision
        while len(self._ring) > self._size:
            self.floor = self._ring.popleft().revision
            self._dropped += 1
        if changes:
            self._woken.set()
            self._woken = asyncio.Event()

    def subscribe(self, since: int | None) -> "Subscription":
        """Changes after the revision `since` (None: from now on)."""
        if since is None:
            return Subscription(self, self._end(), self.revision)
        if since < self.floor:
            return Subscription(self, None, since)
        skipped = 0
        for change in reversed(self._ring):
            if change.revision <= since:
                break
            skipped += 1
        return Subscription(self, self._end() - skipped, since)

    def _end(self) -> int:
        return self._dropped + len(self._ring)

    async def after(self, cursor: int | None) -> tuple[list[Change], int]:
        """What stands at a cursor, at least one change, with the cursor after it; waits when there is none yet."""
        if cursor is None or cursor < self._dropped:
            return [Change("reset", "", None, self.revision)], self._end()
        while cursor == self._end():
            await self._woken.wait()
            if cursor < self._dropped:
                return [Change("reset", "", None, self.revision)], self._end()
        # From the newer end: a ring is walked item by item, and what is new is little of it.
        newest_first = list(islice(reversed(self._ring), self._end() - cursor))
        return newest_first[::-1], self._end()


class Subscription(AsyncIterator[Change]):
    """One reader of the feed. It needs no closing; only one task may read from it."""

    def __init__(self, feed: Feed, cursor: int | None, since: int) -> None:
        self._feed = feed
        self._cursor = cursor
        self._since = since
        self._batch: deque[Change] = deque()

    async def __anext__(self) -> Change:
        while not self._batch:
            self._batch.extend(await self.batch())
        return self._batch.popleft()

    async def batch(self) -> list[Change]:
        """All changes that are there, at least one."""
        if self._batch:
            waiting, self._batch = list(self._batch), deque()
            return waiting
        while True:
            changes, self._cursor = await self._feed.after(self._cursor)
            new = [change for change in changes if change.kind == "reset" or change.revision > self._since]
            if new:
                return new
