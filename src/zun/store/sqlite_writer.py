# SPDX-License-Identifier: Apache-2.0
"""The one thread that writes: group commit.

While a group is being made durable the next jobs queue up; they become the next group. Each is still decided by
itself, on what the one before it left, and gets its own revision; but the disk is waited for once a group.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from zun.base.clock import Clock
from zun.model.errors import Unavailable, ZunError
from zun.store.hub import Commit
from zun.store.interface import Compacted
from zun.store.retention import Compactor, Retention
from zun.store.sqlite_state import SqliteState

MAX_GROUP_JOBS = 512
MAX_GROUP_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


class Job(Generic[T]):
    """Something to do to the state; it either refuses before it changed anything or does it wholly."""

    def __init__(self, work: Callable[[SqliteState], T], size: int, future: "asyncio.Future[T]") -> None:
        self.size = size
        self._work = work
        self._future = future
        self._result: T | None = None
        self._error: BaseException | None = None

    def run(self, state: SqliteState) -> None:
        """Do it (writer thread), keeping the result or the refusal until the group is durable."""
        try:
            self._result = self._work(state)
        except (ZunError, Compacted) as refusal:
            self._error = refusal

    def fail(self, error: BaseException) -> None:
        """The group it was in failed (writer thread)."""
        self._error = error

    def settle(self) -> None:
        """Tell who waits, if somebody still does (event loop)."""
        if self._future.done():
            return
        if self._error is not None:
            self._future.set_exception(self._error)
        else:
            self._future.set_result(self._result)  # type: ignore[arg-type]  # T may be None itself


Publish = Callable[[Sequence[Commit]], None]


class Writer:
    """Owner of the writing connection and its thread."""

    def __init__(self, path: Path, state: SqliteState, clock: Clock, retention: Retention, publish: Publish) -> None:
        """Start the thread. `publish` is called on the current event loop with what became durable, in order."""
        self._path = path
        self._state = state
        self._clock = clock
        self._compactor = Compactor(retention)
        self._publish = publish
        self._failed = False
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Job[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[SqliteState], T], size: int) -> "asyncio.Future[T]":
        """Queue a job; the future is done once it is durable and published, or fails with `Unavailable`."""
        if not self._thread.is_alive():
            raise Unavailable(
                f"The thread that writes {self._path} has stopped; look at the log and restart the service."
            )
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Job(work, size, future))  # type: ignore[arg-type]  # the queue does not look at results
        return future

    def stop(self) -> None:
        """Finish what is queued, close the database and end the thread. Blocks; submit nothing afterwards."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            group, open_ = self._next_group()
            self._commit(group)
        with suppress(sqlite3.Error):  # everything acknowledged is durable already
            self._state.close()

    def _next_group(self) -> tuple[list[Job[object]], bool]:
        """What is queued now, or (nothing to tidy up) soon; False as second value: it is the last."""
        group: list[Job[object]] = []
        size = 0
        wait = self._failed or not self._state.untidy()
        while len(group) < MAX_GROUP_JOBS and size < MAX_GROUP_BYTES:
            try:
                job = self._queue.get(block=wait)
            except queue.Empty:
                break
            if job is None:
                return group, False
            wait = False
            group.append(job)
            size += job.size
        return group, True

    def _commit(self, group: list[Job[object]]) -> None:
        state = self._state
        commits: Sequence[Commit] = ()
        try:
            state.begin()
            for job in group:
                job.run(state)
            self._compact_by_itself()
            state.tidy()
            commits = state.commit()
            self._failed = False
        except sqlite3.Error as error:
            failure = Unavailable(f"The store's file {self._path} failed ({error}); check its disk and permissions.")
            failure.__cause__ = error
            for job in group:
                job.fail(failure)
            self._failed = True
            with suppress(sqlite3.Error):  # then the next group fails likewise, and tries again
                state.rollback()
        if group:
            with suppress(RuntimeError):  # the loop is gone, and with it everyone who waited
                self._loop.call_soon_threadsafe(self._finish, commits, group)

    def _compact_by_itself(self) -> None:
        state = self._state
        due = self._compactor.due(self._clock.monotonic(), state.revision, state.compacted)
        if due is not None:
            state.compact(due)

    def _finish(self, commits: Sequence[Commit], group: list[Job[object]]) -> None:
        """On the event loop: watchers first, so that a view is never behind an acknowledged write."""
        if commits:
            self._publish(commits)
        for job in group:
            job.settle()
