# SPDX-License-Identifier: Apache-2.0
"""The database file of the embedded store: its tables, how it is opened, and that only one process has it.

Every change is a row of `history`, whose id is the revision and the place within the transaction; `current` points to
the newest row of each living key. So a value is written once, a watch is a scan by id, and compaction removes rows.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zun.model.errors import Unavailable, Unsupported

FORMAT = 1
PLACE_BITS = 24  # places within one revision: a prefix deletion may hold 16 million keys
BUSY_SECONDS = 10.0

_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('revision', 1), ('compacted', 0), ('swept', 0);
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    created INTEGER NOT NULL,
    version INTEGER NOT NULL, -- 0: the key was deleted
    lease INTEGER NOT NULL
);
CREATE INDEX history_key ON history (key, id);
CREATE TABLE current (key BLOB PRIMARY KEY, id INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX current_lease ON current (lease) WHERE lease <> 0;
CREATE TABLE leases (id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL);
PRAGMA user_version = {FORMAT};
"""  # noqa: S608 - a constant


def first_id(revision: int) -> int:
    """The smallest id a row of `revision` can have."""
    return revision << PLACE_BITS


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into `Unavailable` that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"The store's file {path} failed ({error}); check its disk and permissions.") from error


class FileLock:
    """The right to be the one process that uses the file; the kernel gives it back when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock on `<path>.lock`, creating the directory (0700) when it is missing; `Unavailable` when it is taken."""
        self.path = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"Cannot open the lock file {self.path} ({error}); check directory and rights."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise Unavailable(
                f"The store {path} is in use by another process (which holds {self.path}); "
                "stop that process, or give this one a file of its own."
            ) from error

    def release(self) -> None:
        """Let another process have the file."""
        os.close(self._descriptor)


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; creates the file (0600) and the tables when they are missing."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise Unavailable(f"Cannot open the store's file {path} ({error}); check directory and rights.") from error
    with sqlite_errors(path):
        connection = _connect(path.as_uri() + "?mode=rw")
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads; the writer must have opened the file before."""
    with sqlite_errors(path):
        connection = _connect(path.as_uri() + "?mode=ro")
        connection.execute("PRAGMA cache_size = -2048")
        return connection


def _connect(uri: str) -> sqlite3.Connection:
    # Each connection is used by one thread at a time, but not always the one that opened it.
    return sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        raise Unsupported(f"The store {path} was written by a newer version (format {found}); upgrade this one.")
    if found == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # works only before the first table
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -8192")
    connection.execute("PRAGMA wal_autocheckpoint = 2000")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    if found == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
