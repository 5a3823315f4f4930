# SPDX-License-Identifier: Apache-2.0
"""Reads of the embedded store that may take a while, on threads and connections of their own.

A read sees one snapshot: the revision it reports and the rows it returns belong together.
"""

import queue
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zun.store import limits
from zun.store.hub import event_bytes
from zun.store.interface import Compacted, Event, KeyValue, RangeResult, WatchBatch
from zun.store.keyrange import first_key, prefix_end
from zun.store.sqlite_schema import PLACE_BITS, first_id, open_reader, sqlite_errors

READERS = 2

_COLUMNS = f"h.created, h.id >> {PLACE_BITS}, h.version, h.lease"
_BEFORE_END = "AND {key} < ?"
_NEWEST = """
    SELECT c.key, {value}, {columns} FROM current c CROSS JOIN history h ON h.id = c.id
    WHERE c.key >= ? {before_end} ORDER BY c.key LIMIT ?
"""
_PAST = """
    SELECT n.key, {value}, {columns}
    FROM (
        SELECT key, max(id) AS id FROM history WHERE id < ? AND key >= ? {before_end} GROUP BY key ORDER BY key
    ) n CROSS JOIN history h ON h.id = n.id
    WHERE h.version > 0 LIMIT ?
"""
_AT = f"""
    SELECT h.value, {_COLUMNS} FROM history h WHERE h.key = ? AND h.id < ? ORDER BY h.id DESC LIMIT 1
"""  # noqa: S608 - a constant
_CHANGES = f"""
    SELECT h.key, h.value, {_COLUMNS} FROM history h WHERE h.id >= ? AND h.id < ? {{matching}} ORDER BY h.id
"""  # noqa: S608 - a constant


class Readers:
    """A few read connections, lent to whichever thread asks. All methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(READERS):
            self._free.put(open_reader(path))

    def page(self, prefix: str, start_after: str, limit: int, revision: int, *, keys_only: bool) -> RangeResult:
        """A page of keys, now or at a past revision."""
        begin = prefix.encode()
        end = prefix_end(begin)
        with self._snapshot(revision) as (connection, current):
            at = revision or current
            newest = at == current
            sql = (_NEWEST if newest else _PAST).format(
                value="x''" if keys_only else "h.value",
                columns=_COLUMNS,
                before_end="" if end is None else _BEFORE_END.format(key="c.key" if newest else "key"),
            )
            bounds: list[bytes | int] = [] if newest else [first_id(at + 1)]
            bounds += [first_key(begin, start_after.encode())]
            bounds += [] if end is None else [end]
            rows = connection.execute(sql, [*bounds, limit + 1 if limit else -1]).fetchall()
        more = bool(limit) and len(rows) > limit
        if more:
            rows.pop()
        return RangeResult(at, tuple(KeyValue(row[0].decode(), *row[1:]) for row in rows), more)

    def at(self, key: str, revision: int) -> KeyValue | None:
        """One key as it was at a past revision."""
        with self._snapshot(revision) as (connection, _):
            row = connection.execute(_AT, (key.encode(), first_id(revision + 1))).fetchone()
        found = KeyValue(key, *row) if row else None
        return found if found is not None and found.version else None

    def changes(self, prefix: str, first: int, last: int, limit_bytes: int) -> WatchBatch:
        """A page of history for a watcher, in whole transactions."""
        begin = prefix.encode()
        end = prefix_end(begin)
        bounds: list[bytes | int] = [first_id(first), first_id(last + 1)]
        matching = ""
        if begin:
            matching, bounds = "AND h.key >= ?", [*bounds, begin]
        if end is not None:
            matching, bounds = matching + " AND h.key < ?", [*bounds, end]
        events: list[Event] = []
        size = 0
        with self._snapshot(first, may_be_future=True) as (connection, _):
            for row in connection.execute(_CHANGES.format(matching=matching), bounds):
                kv = KeyValue(row[0].decode(), *row[1:])
                if size >= limit_bytes and kv.mod_revision != events[-1].kv.mod_revision:
                    return WatchBatch(events[-1].kv.mod_revision, tuple(events))
                events.append(Event(kv, deleted=kv.version == 0))
                size += event_bytes(events[-1])
        return WatchBatch(last, tuple(events))

    def close(self) -> None:
        """Close the connections; waits for those in use."""
        for _ in range(READERS):
            self._free.get().close()

    @contextmanager
    def _snapshot(self, revision: int, *, may_be_future: bool = False) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A connection on one snapshot and the snapshot's revision, once `revision` (0: now) is known to be in it."""
        connection = self._free.get()
        try:
            with sqlite_errors(self._path):
                connection.execute("BEGIN")
                try:
                    meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
                    if revision and revision < meta["compacted"]:
                        raise Compacted(meta["compacted"])
                    if revision > meta["revision"] and not may_be_future:
                        raise limits.future_revision(revision, meta["revision"])
                    yield connection, meta["revision"]
                finally:
                    connection.execute("ROLLBACK")
        finally:
            self._free.put(connection)
