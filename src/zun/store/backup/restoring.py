# SPDX-License-Identifier: Apache-2.0
"""Puts a backup into a store.

While that lasts the store says so, and nobody begins to work on it; it ends as another store than it was (see `zun.store.schema`). What was
broken off is begun anew with `force`. Keys that stay are overwritten, never deleted in between: who watches sees what changes and no more.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.ids import new_uuid
from zun.model.errors import Conflict, Precondition, Timeout, Unavailable, Unsupported
from zun.store import codec, keys
from zun.store.backup.file import BackupReader, Header, Record
from zun.store.backup.saving import everything
from zun.store.interface import MAX_TXN_OPS, Delete, DeletePrefix, Op, Put, Store, unchanged
from zun.store.schema import UNDERSTOOD, StoreSchema

_TRANSACTION_BYTES = 600_000
_RETRY = Backoff(first_seconds=0.1, cap_seconds=5.0, attempts=12)  # some forty seconds: an election, a restart
_MOST_NAMED = 5


class Restored(NamedTuple):
    """What was done: records that were put there, and others that were removed."""

    records: int
    removed: int


class Restoration:
    """Puts backups into one store, on behalf of `version`."""

    def __init__(self, store: Store, clock: Clock, version: str) -> None:
        self._store = store
        self._clock = clock
        self._version = version

    async def run(self, backup: BackupReader, *, force: bool) -> Restored:
        """Make the store hold what the backup holds and nothing else.

        Before anything is touched: raises `Unsupported` for a backup whose records this version would misread, `Invalid` for a damaged one,
        `Conflict` while processes of the control plane work on the store, or when it is not empty and `force` is not given.
        Later: `Unavailable` and `Timeout` when the store is away for long, `Precondition` when somebody else restores too; the store is then
        not whole, and says so.
        """
        _refuse_newer(backup.header)
        backup.check()
        await self._refuse_used(force=force)
        schema = StoreSchema(backup.header.needs, self._version, new_uuid(), restoring_since=self._clock.now())
        mark = await self._begin(schema)
        kept = {keys.SCHEMA}
        for batch in _batches(backup.records()):
            await self._write(mark, [Put(record.key, record.value) for record in batch])
            kept.update(record.key for record in batch)
        removed = await self._remove_others(mark, kept)
        done = msgspec.structs.replace(schema, restoring_since=None)
        await self._write(mark, [Put(keys.SCHEMA, codec.encode(done))], ends=done)
        return Restored(len(kept) - 1, removed)

    async def _refuse_used(self, *, force: bool) -> None:
        at_work, others = [], False
        async for kv in everything(self._store):
            if kv.lease and kv.key.startswith((keys.LEADERS, keys.PROCESSES)):
                at_work.append(f"{kv.key.removeprefix(keys.VIEW)}")
            others = others or kv.key != keys.SCHEMA
        if at_work:
            named = ", ".join(at_work[:_MOST_NAMED])
            raise Conflict(
                f"Processes work on this store ({named}): stop API servers, controllers and gates first (nodes and containers may run on), and of one that "
                "died wait half a minute."
            )
        if others and not force:
            raise Conflict(
                "The store is not empty. To replace all that is in it, give --force; what it holds now can be kept by `zund backup` before."
            )

    async def _begin(self, schema: StoreSchema) -> int:
        """Have the store say that it is being restored; the revision of that mark, which all that follows compares."""
        for delay in _RETRY.delays():
            try:
                found = await self._store.get(keys.SCHEMA)
                if found is not None and codec.decode(StoreSchema, found.value).id == schema.id:
                    return found.mod_revision
                ops: list[Op] = [Put(keys.SCHEMA, codec.encode(schema))]
                ops += [DeletePrefix(keys.LEADERS), DeletePrefix(keys.PROCESSES)]
                before = unchanged(keys.SCHEMA, found.mod_revision if found else 0)
                await self._store.transact([before], ops)
            except (Unavailable, Timeout):
                await self._clock.sleep(delay)
        raise Unavailable(
            "The store does not take the first record; nothing was changed. See `zunctl doctor`, and try again."
        )

    async def _remove_others(self, mark: int, kept: set[str]) -> int:
        found = [kv.key async for kv in everything(self._store, keys_only=True) if kv.key not in kept]
        for first in range(0, len(found), MAX_TXN_OPS):
            await self._write(mark, [Delete(key) for key in found[first : first + MAX_TXN_OPS]])
        return len(found)

    async def _write(self, mark: int, ops: Sequence[Op], *, ends: StoreSchema | None = None) -> None:
        """Write while the mark is ours; each write may be repeated. `ends`: it replaces the mark by this."""
        failed: Exception | None = None
        for delay in (*_RETRY.delays(), 0.0):
            try:
                if (await self._store.transact([unchanged(keys.SCHEMA, mark)], ops)).succeeded:
                    return
                if failed is not None and ends is not None and await self._says(ends):
                    return
                raise Precondition(
                    "Somebody else began to restore into this store; of the two let one go on, with --force."
                )
            except (Unavailable, Timeout) as error:
                failed = error
            await self._clock.sleep(delay)
        raise Unavailable(
            "The store was away for too long and is not whole now; once it is well, run `zund restore --force` again."
        ) from failed

    async def _says(self, schema: StoreSchema) -> bool:
        found = await self._store.get(keys.SCHEMA)
        return found is not None and codec.decode(StoreSchema, found.value) == schema


def _refuse_newer(header: Header) -> None:
    if header.needs > UNDERSTOOD:
        raise Unsupported(
            f"The backup was made by Zun {header.by}, whose records this version would misread (it knows records up to {UNDERSTOOD}, these are "
            f"{header.needs}). Upgrade Zun on this machine."
        )


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    """As many as one transaction may hold."""
    batch: list[Record] = []
    size = 0
    for record in records:
        weight = len(record.key) + len(record.value)
        if batch and (len(batch) == MAX_TXN_OPS or size + weight > _TRANSACTION_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += weight
    if batch:
        yield batch
