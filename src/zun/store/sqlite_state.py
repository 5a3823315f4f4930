# SPDX-License-Identifier: Apache-2.0
"""The newest state of the database as the writer thread sees and changes it.

Within a group of transactions the changes are kept in memory, where the next transaction of the group finds them, and
written in bulk at the end: two statements for the whole group instead of some for each transaction.
"""

import sqlite3

from zun.store import limits
from zun.store.hub import Commit
from zun.store.interface import Compacted, Event, KeyValue
from zun.store.keyrange import prefix_end
from zun.store.sqlite_schema import PLACE_BITS, first_id
from zun.store.transaction import deletion, unknown_lease

SWEPT_REVISIONS = 250  # a few milliseconds of work, since transactions wait for it
VACUUMED_PAGES = 100
MIN_FREE_PAGES = 1024

_CURRENT = f"""
    SELECT h.value, h.created, h.id >> {PLACE_BITS}, h.version, h.lease
    FROM current c CROSS JOIN history h ON h.id = c.id WHERE c.key = ?
"""  # noqa: S608 - a constant
_SWEEP = """
    DELETE FROM history WHERE id IN (
        SELECT older.id
        FROM (SELECT key, max(id) AS newest FROM history WHERE id >= ?1 AND id < ?2 GROUP BY +key) seen
        CROSS JOIN history older ON older.key = seen.key AND older.id < seen.newest
    )
"""


def read_current(connection: sqlite3.Connection, key: str) -> KeyValue | None:
    """The newest durable version of a key (on any connection)."""
    row = connection.execute(_CURRENT, (key.encode(),)).fetchone()
    return KeyValue(key, *row) if row else None


class SqliteState:
    """What transactions are evaluated against (`zun.store.transaction.State`) and applied to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.revision = 0
        self.compacted = 0
        self.leases: dict[int, int] = {}
        self._swept = 0
        self._vacuuming = True
        self._stale = False
        self._pending: dict[str, KeyValue | None] = {}  # newest versions that are not in the tables yet
        self._commits: list[Commit] = []  # likewise
        self._group: list[Commit] = []  # in the tables, but not durable yet
        self._reload()

    def current(self, key: str) -> KeyValue | None:
        """The newest version of a key."""
        if key in self._pending:
            return self._pending[key]
        return read_current(self._connection, key)

    def live_keys(self, prefix: str) -> list[str]:
        """All existing keys with `prefix`, in order."""
        self._flush()
        begin = prefix.encode()
        end = prefix_end(begin)
        if end is None:
            rows = self._connection.execute("SELECT key FROM current WHERE key >= ? ORDER BY key", (begin,))
        else:
            rows = self._connection.execute(
                "SELECT key FROM current WHERE key >= ? AND key < ? ORDER BY key", (begin, end)
            )
        return [key.decode() for (key,) in rows.fetchall()]

    def has_lease(self, lease: int) -> bool:
        """Whether the lease exists."""
        return lease in self.leases

    def apply(self, events: tuple[Event, ...]) -> None:
        """Make the changes of one transaction, evaluated for `revision + 1`, the newest state."""
        if not events:
            return
        self.revision += 1
        self._commits.append(Commit(self.revision, events))
        for event in events:
            self._pending[event.kv.key] = None if event.deleted else event.kv

    def add_lease(self, lease: int, ttl_seconds: int) -> None:
        """Record a new lease."""
        self._connection.execute("INSERT INTO leases VALUES (?, ?)", (lease, ttl_seconds))
        self.leases[lease] = ttl_seconds

    def revoke(self, lease: int) -> None:
        """Remove a lease and its keys; `NotFound` when there is none."""
        if lease not in self.leases:
            raise unknown_lease(lease)
        self._flush()
        rows = self._connection.execute(
            "SELECT key FROM current WHERE lease = ? AND lease <> 0 ORDER BY key", (lease,)
        ).fetchall()
        self.apply(tuple(deletion(key.decode(), self.revision + 1) for (key,) in rows))
        self._connection.execute("DELETE FROM leases WHERE id = ?", (lease,))
        del self.leases[lease]

    def compact(self, revision: int) -> None:
        """Forget what was before `revision`, at once for readers; the rows go little by little (`tidy`)."""
        if revision <= self.compacted:
            raise Compacted(self.compacted)
        if revision > self.revision:
            raise limits.future_revision(revision, self.revision)
        self.compacted = revision
        self._set("compacted", revision)

    def begin(self) -> None:
        """Begin a group of transactions."""
        self._connection.execute("BEGIN IMMEDIATE")
        if self._stale:
            self._reload()

    def commit(self) -> list[Commit]:
        """Make the group durable; returns its changes."""
        self._flush()
        self._connection.execute("COMMIT")
        commits, self._group = self._group, []
        return commits

    def rollback(self) -> None:
        """Undo the group; what is kept in memory is read again when the next one begins."""
        self._stale = True
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def untidy(self) -> bool:
        """Whether `tidy` has something to do."""
        return self._swept < self.compacted or self._vacuuming

    def tidy(self) -> None:
        """Remove some rows that were compacted away, or give some free pages back to the file system."""
        if self._swept < self.compacted:
            self._flush()
            until = min(self._swept + SWEPT_REVISIONS, self.compacted)
            span = (first_id(self._swept), first_id(until))
            self._connection.execute(_SWEEP, span)
            self._connection.execute("DELETE FROM history WHERE id >= ? AND id < ? AND version = 0", span)
            self._swept = until
            self._set("swept", until)
            self._vacuuming = until == self.compacted
        elif self._vacuuming:
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            self._vacuuming = free > max(MIN_FREE_PAGES, pages // 4)
            if self._vacuuming:
                self._connection.execute(f"PRAGMA incremental_vacuum({VACUUMED_PAGES})").fetchall()

    def close(self) -> None:
        """Close the connection (which merges the write-ahead log into the file)."""
        self._connection.close()

    def _flush(self) -> None:
        if not self._commits:
            return
        self._connection.executemany(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)",
            [
                (first_id(commit.revision) + place, kv.key.encode(), kv.value, kv.create_revision, kv.version, kv.lease)
                for commit in self._commits
                for place, kv in enumerate(event.kv for event in commit.events)
            ],
        )
        places = {
            event.kv.key: first_id(commit.revision) + place
            for commit in self._commits
            for place, event in enumerate(commit.events)
        }
        self._connection.executemany(
            "INSERT OR REPLACE INTO current VALUES (?, ?, ?)",
            [(key.encode(), places[key], kv.lease) for key, kv in self._pending.items() if kv is not None],
        )
        gone = [(key.encode(),) for key, kv in self._pending.items() if kv is None]
        if gone:
            self._connection.executemany("DELETE FROM current WHERE key = ?", gone)
        self._set("revision", self.revision)
        self._group += self._commits
        self._commits = []
        self._pending = {}

    def _set(self, name: str, value: int) -> None:
        self._connection.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))

    def _reload(self) -> None:
        """Take everything kept in memory from the file."""
        meta: dict[str, int] = dict(self._connection.execute("SELECT name, value FROM meta").fetchall())
        self.revision = meta["revision"]
        self.compacted = meta["compacted"]
        self._swept = meta["swept"]
        self.leases = dict(self._connection.execute("SELECT id, ttl FROM leases").fetchall())
        self._vacuuming = True
        self._pending = {}
        self._commits = []
        self._group = []
        self._stale = False
