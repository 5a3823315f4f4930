# SPDX-License-Identifier: Apache-2.0
"""The store in plain memory: all semantics, no durability. For tests and as the yardstick for the others."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter

import msgspec

from zun.base.clock import Clock
from zun.model.errors import Unavailable
from zun.store import limits
from zun.store.hub import Commit, WatchHub, event_bytes
from zun.store.interface import (
    Compacted,
    Compare,
    Event,
    KeyValue,
    Op,
    RangeResult,
    TxnResult,
    WatchBatch,
)
from zun.store.leases import LeaseClock, new_lease_id
from zun.store.retention import Compactor, Retention
from zun.store.transaction import Transaction, deletion, evaluate, unknown_lease

FIRST_REVISION = 1
_MOD_REVISION = attrgetter("mod_revision")
_REVISION = attrgetter("revision")


class Versions:
    """Every version of every key since the last compaction. A version of 0 marks a deletion."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.compacted = 0
        self._chains: dict[str, list[KeyValue]] = {}
        self._keys: list[str] = []
        self._log: list[Commit] = []
        self._lease_keys: dict[int, set[str]] = {}

    def current(self, key: str) -> KeyValue | None:
        """The newest version."""
        chain = self._chains.get(key)
        return chain[-1] if chain and chain[-1].version else None

    def at(self, key: str, revision: int) -> KeyValue | None:
        """The version that was the newest at `revision`."""
        chain = self._chains.get(key, [])
        place = bisect_right(chain, revision, key=_MOD_REVISION)
        return chain[place - 1] if place and chain[place - 1].version else None

    def page(self, prefix: str, start_after: str, limit: int, revision: int) -> tuple[list[KeyValue], bool]:
        """At most `limit` (0: all) keys as they were at `revision`, and whether there are more."""
        place = bisect_left(self._keys, prefix)
        if start_after:
            place = max(place, bisect_right(self._keys, start_after))
        found: list[KeyValue] = []
        while place < len(self._keys) and self._keys[place].startswith(prefix):
            kv = self.at(self._keys[place], revision)
            if kv is not None:
                if limit and len(found) == limit:
                    return found, True
                found.append(kv)
            place += 1
        return found, False

    def live_keys(self, prefix: str) -> list[str]:
        """All existing keys with `prefix`, in order."""
        return [kv.key for kv in self.page(prefix, "", 0, self.revision)[0]]

    def has_lease(self, lease: int) -> bool:
        """Whether the lease exists."""
        return lease in self._lease_keys

    def add_lease(self, lease: int) -> None:
        """A new lease without keys."""
        self._lease_keys[lease] = set()

    def drop_lease(self, lease: int) -> list[str]:
        """Forget a lease; returns its keys in order."""
        return sorted(self._lease_keys.pop(lease))

    def apply(self, revision: int, events: tuple[Event, ...]) -> Commit:
        """Make the changes of one transaction the newest state."""
        for event in events:
            key = event.kv.key
            before = self.current(key)
            if before is not None and before.lease:
                self._lease_keys.get(before.lease, set()).discard(key)
            if event.kv.lease:
                self._lease_keys[event.kv.lease].add(key)
            if key not in self._chains:
                self._chains[key] = []
                insort(self._keys, key)
            self._chains[key].append(event.kv)
        commit = Commit(revision, events)
        self._log.append(commit)
        self.revision = revision
        return commit

    def since(self, first: int, last: int) -> list[Commit]:
        """The commits from revision `first` to `last`."""
        begin = bisect_left(self._log, first, key=_REVISION)
        return self._log[begin : bisect_right(self._log, last, key=_REVISION)]

    def compact(self, revision: int) -> None:
        """Forget every version that was not the newest one at `revision` or later."""
        old = self.since(0, revision)
        dropped = False
        for key in {event.kv.key for commit in old for event in commit.events}:
            chain = self._chains.get(key, [])
            newest = bisect_right(chain, revision, key=_MOD_REVISION) - 1
            if newest >= 0 and not chain[newest].version:
                newest += 1
            del chain[: max(newest, 0)]
            if key in self._chains and not chain:
                del self._chains[key]
                dropped = True
        if dropped:
            self._keys = sorted(self._chains)
        self._log = self.since(revision, self.revision)
        self.compacted = revision


class MemoryStore:
    """The store port in memory (see `zun.store.interface`). Must be used from one event loop."""

    def __init__(self, clock: Clock, *, retention: Retention | None = None) -> None:
        self._clock = clock
        self._versions = Versions()
        self._hub = WatchHub(self, FIRST_REVISION)
        self._leases = LeaseClock(clock, self.revoke)
        self._compactor = Compactor(retention or Retention())
        self._closed = False

    def known_revision(self) -> int | None:
        """The revision."""
        return self._versions.revision

    async def revision(self) -> int:
        """The revision."""
        return self._open().revision

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """The key now, or at a past revision."""
        limits.check_key(key)
        versions = self._open()
        return versions.at(key, self._checked(revision)) if revision else versions.current(key)

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        """A page of keys."""
        limits.check_range(prefix, start_after, limit, revision)
        versions = self._open()
        at = self._checked(revision) if revision else versions.revision
        found, more = versions.page(prefix, start_after, limit, at)
        if keys_only:
            found = [msgspec.structs.replace(kv, value=b"") for kv in found]
        return RangeResult(at, tuple(found), more)

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """Decide and apply at once: nothing else runs in between."""
        limits.check_transaction(compares, success, failure)
        versions = self._open()
        outcome = evaluate(versions, Transaction(compares, success, failure), versions.revision + 1)
        self._commit(outcome.events)
        return TxnResult(outcome.succeeded, versions.revision, outcome.reads)

    @asynccontextmanager
    async def watch(self, prefix: str, *, from_revision: int) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        """Changes as they happen, and from history."""
        limits.check_watch(prefix, from_revision)
        with self._hub.watcher(prefix, from_revision) as watcher:
            yield watcher

    async def changes(self, prefix: str, first: int, last: int, limit_bytes: int) -> WatchBatch:
        """For watchers: a page of history."""
        if first < self._versions.compacted:
            raise Compacted(self._versions.compacted)
        events: list[Event] = []
        size = 0
        for commit in self._versions.since(first, last):
            for event in commit.events:
                if event.kv.key.startswith(prefix):
                    events.append(event)
                    size += event_bytes(event)
            if size >= limit_bytes:
                return WatchBatch(commit.revision, tuple(events))
        return WatchBatch(last, tuple(events))

    async def grant_lease(self, ttl_seconds: int) -> int:
        """A new lease."""
        limits.check_lease_ttl(ttl_seconds)
        lease = new_lease_id()
        self._open().add_lease(lease)
        self._leases.add(lease, ttl_seconds)
        return lease

    async def keep_alive(self, lease: int) -> int:
        """Begin the lease's time anew."""
        self._open()
        return self._leases.renew(lease)

    async def revoke(self, lease: int) -> None:
        """End a lease and its keys."""
        versions = self._open()
        if not versions.has_lease(lease):
            raise unknown_lease(lease)
        revision = versions.revision + 1
        self._commit(tuple(deletion(key, revision) for key in versions.drop_lease(lease)))
        self._leases.forget(lease)

    async def compact(self, revision: int) -> None:
        """Forget what was before `revision`."""
        versions = self._open()
        if revision <= versions.compacted:
            raise Compacted(versions.compacted)
        if revision > versions.revision:
            raise limits.future_revision(revision, versions.revision)
        versions.compact(revision)

    async def close(self) -> None:
        """End watches and leases' clockwork."""
        self._closed = True
        self._hub.close()
        await self._leases.close()

    def _open(self) -> Versions:
        if self._closed:
            raise Unavailable("The store is closed; open it again.")
        return self._versions

    def _checked(self, revision: int) -> int:
        if revision < self._versions.compacted:
            raise Compacted(self._versions.compacted)
        if revision > self._versions.revision:
            raise limits.future_revision(revision, self._versions.revision)
        return revision

    def _commit(self, events: tuple[Event, ...]) -> None:
        if not events:
            return
        versions = self._versions
        self._hub.publish([versions.apply(versions.revision + 1, events)])
        due = self._compactor.due(self._clock.monotonic(), versions.revision, versions.compacted)
        if due is not None:
            versions.compact(due)
