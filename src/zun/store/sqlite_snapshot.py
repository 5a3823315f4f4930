# SPDX-License-Identifier: Apache-2.0
"""Reads the embedded store's file beside the process that works on it: SQLite lets readers look at what was, while that one goes on writing."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

from zun.model.errors import NotFound, Unsupported
from zun.store.interface import RangeResult
from zun.store.sqlite_reader import Readers
from zun.store.sqlite_schema import FORMAT, open_reader, sqlite_errors


class SqliteSnapshot:
    """The store's reads (see `zun.store.interface`), without its lock and without its writes."""

    def __init__(self, readers: Readers) -> None:
        """Use `open`."""
        self._readers = readers

    @classmethod
    async def open(cls, path: Path) -> "SqliteSnapshot":
        """The file, which nobody needs to have open. Raises `NotFound` when there is none, `Unsupported` for one of a newer version,
        `Unavailable` when it cannot be read."""
        return cls(await asyncio.to_thread(_open, path))

    async def revision(self) -> int:
        """The newest revision."""
        return (await self.range("\x00", limit=1)).revision

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        """A page of keys."""
        return await asyncio.to_thread(
            partial(self._readers.page, prefix, start_after, limit, revision, keys_only=keys_only)
        )

    async def close(self) -> None:
        """Let go of the file."""
        await asyncio.to_thread(self._readers.close)


def _open(path: Path) -> Readers:
    path = path.absolute()
    if not path.exists():
        raise NotFound(f"There is no store {path}; name the state directory of the service with --state-dir.")
    connection = open_reader(path)
    try:
        _check_format(connection, path)
    finally:
        connection.close()
    return Readers(path)


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    with sqlite_errors(path):
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        raise Unsupported(f"The store {path} was written by a newer version (format {found}); upgrade this one.")
    if found < FORMAT:
        raise NotFound(f"The store {path} holds nothing yet; start the service once.")
