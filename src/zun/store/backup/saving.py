# SPDX-License-Identifier: Apache-2.0
"""Reads a whole store as it was at one instant, while others go on writing to it."""

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

from zun.model.errors import Unavailable
from zun.store import codec, keys
from zun.store.backup.file import Header, Record, new_backup
from zun.store.interface import Compacted, KeyValue, RangeResult
from zun.store.schema import UNDERSTOOD, StoreSchema

_LOG = logging.getLogger(__name__)

PAGE_KEYS = 500
_TRIES = 3


class Readable(Protocol):
    """What is needed of a store, as `zun.store.interface` means it."""

    async def revision(self) -> int:
        """The newest revision."""

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        """A page of keys. Raises `Compacted`."""


async def save(store: Readable, path: Path, header: Callable[[int, StoreSchema], Header]) -> tuple[int, int]:
    """Write all that is for good into a new file: what belongs to a lease is a process's, and is left out.

    `header` is given the revision and what the store says of itself. Returns the number of records and the revision. Raises `Conflict`
    when the file exists, `Unavailable`, `Timeout`.
    """
    for _ in range(_TRIES):
        revision = await store.revision()
        try:
            return await _save_at(store, revision, path, header), revision
        except Compacted:
            _LOG.warning("the store forgot revision %d before all of it was read; beginning anew", revision)
    raise Unavailable(
        "The store forgets its history faster than it can be read; raise [store] history_seconds and history_revisions, or back up in a quieter hour."
    )


async def _save_at(store: Readable, revision: int, path: Path, header: Callable[[int, StoreSchema], Header]) -> int:
    with new_backup(path) as out:
        out.begin(header(revision, await _schema(store, revision)))
        async for kv in everything(store, revision):
            if not kv.lease and kv.key != keys.SCHEMA:
                out.add(Record(kv.key, kv.value))
        out.end()
        return out.records


async def everything(store: Readable, revision: int = 0, *, keys_only: bool = False) -> AsyncIterator[KeyValue]:
    """All keys of Zun's, in order, page by page. Raises `Compacted` when `revision` was forgotten meanwhile."""
    after, more = "", True
    while more:
        page = await store.range(keys.ROOT, start_after=after, limit=PAGE_KEYS, revision=revision, keys_only=keys_only)
        for kv in page.items:
            yield kv
        more, after = page.more, page.items[-1].key if page.items else ""
        revision = revision or page.revision


async def _schema(store: Readable, revision: int) -> StoreSchema:
    found = await store.range(keys.SCHEMA, limit=1, revision=revision)
    if not found.items:
        return StoreSchema(needs=UNDERSTOOD)
    return codec.decode(StoreSchema, found.items[0].value)
