# SPDX-License-Identifier: Apache-2.0
"""The embedded store: one SQLite file, one process, every acknowledged write on disk.

What a restart keeps: everything acknowledged, the history (watches resume), and leases, whose time begins anew then, as
it does in etcd when the leader changes: nobody loses a lease because the store was away.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from zun.base.clock import Clock
from zun.model.errors import Timeout, Unavailable
from zun.store import limits
from zun.store.hub import WatchHub
from zun.store.interface import Compare, KeyValue, Op, RangeResult, TxnResult, WatchBatch
from zun.store.leases import LeaseClock, new_lease_id
from zun.store.retention import Retention
from zun.store.sqlite_reader import READERS, Readers
from zun.store.sqlite_schema import FileLock, open_reader, open_writer, sqlite_errors
from zun.store.sqlite_state import SqliteState, read_current
from zun.store.sqlite_writer import Writer
from zun.store.transaction import Transaction, evaluate

CALL_SECONDS = 30.0

T = TypeVar("T")


class SqliteStore:
    """The store port on a file (see `zun.store.interface`). Must be used from the event loop it was opened on."""

    def __init__(self, files: "_Files", clock: Clock, retention: Retention) -> None:
        """Use `open`."""
        self._files = files
        self._closed = False
        self._hub = WatchHub(self, files.state.revision)
        self._leases = LeaseClock(clock, self.revoke)
        for lease, ttl_seconds in files.state.leases.items():
            self._leases.add(lease, ttl_seconds)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._writer = Writer(files.path, files.state, clock, retention, self._hub.publish)

    @classmethod
    async def open(cls, path: Path, clock: Clock, *, retention: Retention | None = None) -> "SqliteStore":
        """Open or create the store; `Unavailable` when another process has it or the file cannot be used.

        The file gets mode 0600, a directory that has to be made 0700.
        """
        return cls(await asyncio.to_thread(_open_files, path), clock, retention or Retention())

    def known_revision(self) -> int | None:
        """The revision."""
        return self._hub.revision

    async def revision(self) -> int:
        """The revision."""
        self._check_open()
        return self._hub.revision

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """The key now, or at a past revision."""
        limits.check_key(key)
        limits.check_range(key, "", 0, revision)
        self._check_open()
        if revision:
            return await self._read(partial(self._files.readers.at, key, revision))
        with sqlite_errors(self._files.path):  # some ten microseconds: a thread would cost more than it spares
            return read_current(self._files.point_reader, key)

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        """A page of keys."""
        limits.check_range(prefix, start_after, limit, revision)
        self._check_open()
        return await self._read(
            partial(self._files.readers.page, prefix, start_after, limit, revision, keys_only=keys_only)
        )

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """Decided and made durable by the writer thread."""
        size = limits.check_transaction(compares, success, failure)
        return await self._write(partial(_transact, Transaction(compares, success, failure)), size)

    @asynccontextmanager
    async def watch(self, prefix: str, *, from_revision: int) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        """Changes as they happen, and from history."""
        limits.check_watch(prefix, from_revision)
        with self._hub.watcher(prefix, from_revision) as watcher:
            yield watcher

    async def changes(self, prefix: str, first: int, last: int, limit_bytes: int) -> WatchBatch:
        """For watchers: a page of history."""
        self._check_open()
        return await self._read(partial(self._files.readers.changes, prefix, first, last, limit_bytes))

    async def grant_lease(self, ttl_seconds: int) -> int:
        """A new lease."""
        limits.check_lease_ttl(ttl_seconds)
        lease = new_lease_id()
        await self._write(lambda state: state.add_lease(lease, ttl_seconds))
        self._leases.add(lease, ttl_seconds)
        return lease

    async def keep_alive(self, lease: int) -> int:
        """Begin the lease's time anew."""
        self._check_open()
        return self._leases.renew(lease)

    async def revoke(self, lease: int) -> None:
        """End a lease and its keys."""
        await self._write(lambda state: state.revoke(lease))
        self._leases.forget(lease)

    async def compact(self, revision: int) -> None:
        """Forget what was before `revision`."""
        await self._write(lambda state: state.compact(revision))

    async def close(self) -> None:
        """End watches, finish what is queued, close the file and let another process have it."""
        if self._closed:
            return
        self._closed = True
        self._hub.close()
        await self._leases.close()
        await asyncio.to_thread(self._close_files)

    def _close_files(self) -> None:
        self._threads.shutdown(wait=True)
        self._files.readers.close()
        self._files.point_reader.close()
        self._writer.stop()
        self._files.lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The store is closed; open it again.")

    async def _write(self, work: Callable[[SqliteState], T], size: int = 0) -> T:
        self._check_open()
        with self._deadline():
            async with asyncio.timeout(CALL_SECONDS):
                return await self._writer.submit(work, size)

    async def _read(self, work: Callable[[], T]) -> T:
        with self._deadline():
            async with asyncio.timeout(CALL_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise Timeout(
                f"The store {self._files.path} did not answer within {CALL_SECONDS:.0f} s; check whether its disk is overloaded."
            ) from error


class _Files(msgspec.Struct, frozen=True):
    """Everything that is open on the one file."""

    path: Path
    lock: FileLock
    state: SqliteState
    point_reader: sqlite3.Connection
    readers: Readers


def _open_files(path: Path) -> _Files:
    path = path.absolute()
    with ExitStack() as undo:
        lock = FileLock(path)
        undo.callback(lock.release)
        writer = open_writer(path)
        undo.callback(writer.close)
        with sqlite_errors(path):
            state = SqliteState(writer)
        point_reader = open_reader(path)
        undo.callback(point_reader.close)
        files = _Files(path, lock, state, point_reader, Readers(path))
        undo.pop_all()
    return files


def _transact(transaction: Transaction, state: SqliteState) -> TxnResult:
    outcome = evaluate(state, transaction, state.revision + 1)
    state.apply(outcome.events)
    return TxnResult(outcome.succeeded, state.revision, outcome.reads)
