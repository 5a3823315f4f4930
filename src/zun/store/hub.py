# SPDX-License-Identifier: Apache-2.0
"""Watches of the embedded stores: every commit is handed to every watcher, and none can hold up or bloat the others.

A watcher has two sources that follow each other without gap: the history up to `_history_until`, and a queue of what
was published after it. When the queue grows too big it is thrown away and the history bound moves forward instead:
the consumer re-reads what it missed, so a slow one costs disk reads and not memory.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from zun.model.errors import Unavailable
from zun.store.interface import Event, WatchBatch

MAX_QUEUED_BYTES = 8 * 1024 * 1024
HISTORY_PAGE_BYTES = 512 * 1024
_EVENT_BYTES = 256


class Commit(msgspec.Struct, frozen=True):
    """The changes of one transaction."""

    revision: int
    events: tuple[Event, ...]


class History(Protocol):
    """Where a watcher reads what happened before it came, or what it was too slow for."""

    async def changes(self, prefix: str, first: int, last: int, limit_bytes: int) -> WatchBatch:
        """The changes with `prefix` from revision `first` on, in whole transactions, ending once they reach the limit.

        The size of a change is its `event_bytes`. The batch's revision says how far it got (`last` when nothing is left).
        Raises `Compacted` when `first` is gone.
        """


class Watcher(AsyncIterator[WatchBatch]):
    """One consumer's view of the changes under a prefix. Only one task may iterate over it."""

    def __init__(self, prefix: str, from_revision: int, current_revision: int, history: History) -> None:
        self.prefix = prefix
        self._next = from_revision
        self._history_until = current_revision
        self._history = history
        self._queue: deque[WatchBatch] = deque()
        self.queued_bytes = 0
        self._wake = asyncio.Event()
        self._closed = False

    def offer(self, revision: int, commits: Sequence[Commit]) -> None:
        """Queue what matched up to `revision`; no commits: only mark the progress."""
        if revision < self._next:
            return
        events = tuple(event for commit in commits if commit.revision >= self._next for event in commit.events)
        if not events and self._queue and not self._queue[-1].events:
            self._queue.pop()
        self._queue.append(WatchBatch(revision, events))
        self.queued_bytes += _cost(events)
        if self.queued_bytes > MAX_QUEUED_BYTES:
            self._queue.clear()
            self.queued_bytes = 0
            self._history_until = revision
        self._wake.set()

    def close(self) -> None:
        """Let the consumer end with `Unavailable` after what is queued."""
        self._closed = True
        self._wake.set()

    async def __anext__(self) -> WatchBatch:
        while not self._queue and self._next > self._history_until:
            if self._closed:
                raise Unavailable("The store was closed; open it again and watch from the last revision + 1.")
            self._wake.clear()
            await self._wake.wait()
        if self._next <= self._history_until:
            batch = await self._history.changes(self.prefix, self._next, self._history_until, HISTORY_PAGE_BYTES)
        else:
            batch = self._queue.popleft()
            self.queued_bytes -= _cost(batch.events)
        self._next = batch.revision + 1
        return batch


class WatchHub:
    """All watchers of one store, found by the prefixes of a changed key. Belongs to the event loop's thread."""

    def __init__(self, history: History, revision: int) -> None:
        self.revision = revision
        self._history = history
        self._by_prefix: dict[str, set[Watcher]] = {}
        self._lengths: tuple[int, ...] = ()
        self._closed = False

    def publish(self, commits: Sequence[Commit]) -> None:
        """Hand commits (in order, at least one) to everyone who watches one of their keys; the others learn the revision."""
        self.revision = commits[-1].revision
        if not self._by_prefix:
            return
        matched = self._match(commits)
        for watchers in self._by_prefix.values():
            for watcher in watchers:
                watcher.offer(self.revision, matched.get(watcher, ()))

    @contextmanager
    def watcher(self, prefix: str, from_revision: int) -> Iterator[Watcher]:
        """A watcher that is registered while the context lasts."""
        if self._closed:
            raise Unavailable("The store is closed; open it again.")
        watcher = Watcher(prefix, from_revision, self.revision, self._history)
        self._by_prefix.setdefault(prefix, set()).add(watcher)
        self._remember_lengths()
        try:
            yield watcher
        finally:
            self._by_prefix[prefix].discard(watcher)
            if not self._by_prefix[prefix]:
                del self._by_prefix[prefix]
            self._remember_lengths()

    def close(self) -> None:
        """End all watches."""
        self._closed = True
        for watchers in self._by_prefix.values():
            for watcher in watchers:
                watcher.close()

    def _match(self, commits: Sequence[Commit]) -> dict[Watcher, list[Commit]]:
        matched: dict[Watcher, list[Commit]] = {}
        for commit in commits:
            found: dict[Watcher, list[Event]] = {}
            for event in commit.events:
                key = event.kv.key
                for length in self._lengths:
                    for watcher in self._by_prefix.get(key[:length], ()) if length <= len(key) else ():
                        found.setdefault(watcher, []).append(event)
            for watcher, events in found.items():
                matched.setdefault(watcher, []).append(Commit(commit.revision, tuple(events)))
        return matched

    def _remember_lengths(self) -> None:
        self._lengths = tuple({len(prefix) for prefix in self._by_prefix})


def event_bytes(event: Event) -> int:
    """About how much memory a change takes."""
    return _EVENT_BYTES + len(event.kv.value)


def _cost(events: Sequence[Event]) -> int:
    return sum(map(event_bytes, events))
