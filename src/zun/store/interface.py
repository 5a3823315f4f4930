# SPDX-License-Identifier: Apache-2.0
"""The store port: etcd's semantics, whoever implements them.

One revision counter for the whole store; each successful transaction that writes raises it by one. A key has
`create_revision`, `mod_revision`, `version` (writes since creation; 0 = absent). A watch delivers every change after a
revision, in order, whole transactions at a time. A lease that is not kept alive deletes its keys. Compaction forgets
old revisions: reading or watching from before raises `Compacted`.

Limits (etcd's defaults, enforced by every implementation so that nothing works only embedded):
128 operations a transaction, 1.5 MiB a request, a key at most once among the writes of one transaction.

All calls raise `Unavailable` when the store is away and `Timeout` when it does not answer in time;
after a `Timeout` of a write the write may or may not have happened.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

import msgspec

MAX_TXN_OPS = 128
MAX_REQUEST_BYTES = 1_572_864
MIN_LEASE_TTL_SECONDS = 1


class KeyValue(msgspec.Struct, frozen=True):
    """One key as it stands at a revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


class CompareField(StrEnum):
    """What of a key a transaction may compare."""

    MOD_REVISION = "mod"
    CREATE_REVISION = "create"
    VERSION = "version"
    VALUE = "value"


class Compare(msgspec.Struct, frozen=True):
    """One condition of a transaction: `field` of `key` equals `expected`. An absent key has 0 everywhere and no value."""

    key: str
    field: CompareField
    expected: int | bytes


def unchanged(key: str, mod_revision: int) -> Compare:
    """The key was not written since `mod_revision` (0: it is absent)."""
    return Compare(key, CompareField.MOD_REVISION, mod_revision)


def absent(key: str) -> Compare:
    """The key does not exist."""
    return Compare(key, CompareField.MOD_REVISION, 0)


class Put(msgspec.Struct, frozen=True):
    """Write a value; with a lease the key dies with it. Without one (0), an earlier lease is dropped."""

    key: str
    value: bytes
    lease: int = 0


class Delete(msgspec.Struct, frozen=True):
    """Delete one key; deleting an absent key is no error (and alone does not raise the revision)."""

    key: str


class DeletePrefix(msgspec.Struct, frozen=True):
    """Delete every key that begins with `prefix`."""

    prefix: str


class Get(msgspec.Struct, frozen=True):
    """Read one key inside the transaction (sees the writes before it in the same transaction)."""

    key: str


Op = Put | Delete | DeletePrefix | Get


class TxnResult(msgspec.Struct, frozen=True):
    """What a transaction did. `revision` is the store's revision after it; `reads` one entry per `Get` of the taken branch."""

    succeeded: bool
    revision: int
    reads: tuple[KeyValue | None, ...] = ()


class RangeResult(msgspec.Struct, frozen=True):
    """A page of keys in key order, all from the same `revision`. `more`: there are further ones after the last."""

    revision: int
    items: tuple[KeyValue, ...]
    more: bool


class Event(msgspec.Struct, frozen=True):
    """One change. For a deletion `value` is None and `kv.value` is empty; `kv.mod_revision` is the revision of the deletion."""

    kv: KeyValue
    deleted: bool


class WatchBatch(msgspec.Struct, frozen=True):
    """All watched changes of one or more whole transactions, in order; `revision` is that of the last of them.

    A batch without events is a progress mark: everything up to `revision` has been delivered.
    """

    revision: int
    events: tuple[Event, ...]


class Compacted(Exception):
    """The asked revision was compacted away; list again and watch from there. `compact_revision` is the oldest still there."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"revisions before {compact_revision} were compacted")
        self.compact_revision = compact_revision


class Store(Protocol):
    """The port. Describe: `revision`. Look: `get`, `range`, `watch`. Poke: `transact`, leases, `compact`, `close`."""

    def known_revision(self) -> int | None:
        """The store's revision when it is known without asking anybody (embedded stores), else None."""

    async def revision(self) -> int:
        """The store's current revision, linearizable: no write acknowledged before the call is newer."""

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """The key now (or at a past revision). Raises `Compacted`."""

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        """Keys with `prefix` in order, beginning after the key `start_after`, at most `limit` (0: all). Raises `Compacted`."""

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """If all compares hold, do `success`, else `failure`; atomically and durably.

        Raises `Invalid` (code `too-large`) over the limits above, or when a key is written twice;
        `NotFound` for an unknown lease.
        """

    def watch(self, prefix: str, *, from_revision: int) -> AbstractAsyncContextManager[AsyncIterator[WatchBatch]]:
        """Every change of keys with `prefix` at or after `from_revision` (≥ 1; may lie in the future).

        The iterator raises `Compacted` when the start was compacted, `Unavailable` when the connection is gone for good
        (watch again from the last revision + 1). Leaving the context ends the watch.
        """

    async def grant_lease(self, ttl_seconds: int) -> int:
        """A new lease's id (> 0). It ends `ttl_seconds` after the last keep-alive, deleting its keys in one transaction."""

    async def keep_alive(self, lease: int) -> int:
        """Renew a lease; returns its TTL in seconds. Raises `NotFound` when it has ended."""

    async def revoke(self, lease: int) -> None:
        """End a lease now, deleting its keys. Raises `NotFound` when it has ended already."""

    async def compact(self, revision: int) -> None:
        """Forget what was before `revision`. Raises `Compacted` when that happened already, `Invalid` for a future revision."""

    async def close(self) -> None:
        """Stop everything; later calls raise `Unavailable`."""
