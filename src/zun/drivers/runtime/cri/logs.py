# SPDX-License-Identifier: Apache-2.0
"""Logs of a CRI engine: files that the engine writes and we read, turn over and follow.

A log is complete when its container has ended *and* nobody has the file open for writing: the engine shows the end a moment before the
last bytes are written. While it is turned over, the old file is read to its end before the new one is begun.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.handles import Identity, identity_of
from zun.drivers.runtime.cri.log_entries import Entries
from zun.drivers.runtime.cri.log_files import LogFile, inode_at, open_file, open_files, skip_to_tail
from zun.drivers.runtime.cri.places import LOG, Places
from zun.drivers.runtime.types import Chunk, LogQuery
from zun.model.errors import Invalid, NotFound

_LAST_WORDS = Backoff(first_seconds=0.001, cap_seconds=0.1, attempts=30)
"""How long an ended container's log may still be written."""

_IDLE = Backoff(first_seconds=0.01, cap_seconds=0.1, factor=1.5, jitter=0.1)
"""How often a log that stands still is looked at."""


class Logs:
    """Reads and follows logs."""

    def __init__(self, attempts: Attempts, places: Places, clock: Clock) -> None:
        self._attempts = attempts
        self._places = places
        self._clock = clock

    @asynccontextmanager
    async def open(self, handle: str, query: LogQuery) -> AsyncIterator[AsyncIterator[Chunk]]:
        """See the port."""
        if not query.stdout and not query.stderr:
            raise Invalid("Choose stdout, stderr or both.")
        which = identity_of(handle)
        status, _ = await self._attempts.shown(which)
        if status.state == cri.CONTAINER_EXITED:
            await self._wait_for_last_words(which)
        reader = _Reader(self, which, query, tty=bool(status.annotations.get(labels.TTY)))
        try:
            await reader.open()
            async with aclosing(reader.chunks()) as chunks:
                yield chunks
        finally:
            reader.close()

    def current(self, which: Identity) -> LogFile | None:
        """The file that is written now."""
        return open_file(self._places.log_directory(which.handle) / LOG)

    def files(self, which: Identity) -> list[LogFile]:
        """All files there are, the older one first."""
        return open_files(self._places.log_directory(which.handle))

    def inode(self, which: Identity) -> int | None:
        """What the current file is."""
        return inode_at(self._places.log_directory(which.handle) / LOG)

    async def has_ended(self, which: Identity) -> bool:
        """Whether nothing more is to come: the container has ended, or is gone."""
        try:
            status, _ = await self._attempts.shown(which)
        except NotFound:
            return True
        return status.state not in {cri.CONTAINER_RUNNING, cri.CONTAINER_CREATED}

    async def pause(self, turns: int) -> None:
        """Wait a little; the longer nothing has come, the longer."""
        await self._clock.sleep(_IDLE.delay(turns))

    async def wait_until_unwritten(self, file: LogFile) -> None:
        """Return when the engine has let go of a file, or does not in time."""
        for delay in _LAST_WORDS.delays():
            if not file.is_written():
                return
            await self._clock.sleep(delay)

    async def _wait_for_last_words(self, which: Identity) -> None:
        file = self.current(which)
        if file is not None:
            try:
                await self.wait_until_unwritten(file)
            finally:
                file.close()


class _Reader:
    """One reading of a log."""

    def __init__(self, logs: Logs, which: Identity, query: LogQuery, *, tty: bool) -> None:
        self._logs = logs
        self._which = which
        self._query = query
        self._entries = Entries(query, tty=tty)
        self._files: list[LogFile] = []

    async def open(self) -> None:
        """Find the files and where to begin in them."""
        self._files = self._logs.files(self._which)
        if self._query.tail is not None:
            channels = frozenset(
                name for name, wanted in ((b"stdout", self._query.stdout), (b"stderr", self._query.stderr)) if wanted
            )
            await asyncio.to_thread(skip_to_tail, self._files, self._query.tail, channels)

    def close(self) -> None:
        """Let go of the files."""
        while self._files:
            self._files.pop().close()

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """What the log holds; with `follow` also what comes, until the end."""
        while len(self._files) > 1:
            async for chunk in self._to_the_end():
                yield chunk
            self._files.pop(0).close()
        if not self._query.follow:
            async for chunk in self._to_the_end():
                yield chunk
            return
        async for chunk in self._follow():
            yield chunk

    async def _to_the_end(self) -> AsyncGenerator[Chunk, None]:
        """The rest of the first file, as it is now."""
        while self._files and (data := await asyncio.to_thread(self._files[0].read)):
            for chunk in self._entries.feed(data):
                yield chunk

    async def _follow(self) -> AsyncGenerator[Chunk, None]:
        idle = 0
        while True:
            moved = False
            async for chunk in self._to_the_end():
                moved = True
                yield chunk
            idle = 0 if moved else idle + 1
            if await self._turned():
                async for chunk in self._to_the_end():
                    yield chunk
                self._next_file()
            elif idle and await self._logs.has_ended(self._which):
                break
            else:
                await self._logs.pause(idle)
        if self._files:
            await self._logs.wait_until_unwritten(self._files[0])
        async for chunk in self._to_the_end():
            yield chunk

    async def _turned(self) -> bool:
        """Whether there is another current file than the one that is read; then the old one gets no more."""
        current = self._logs.inode(self._which)
        if current is None or (self._files and current == self._files[0].inode):
            return False
        if self._files:
            await self._logs.wait_until_unwritten(self._files[0])
        return True

    def _next_file(self) -> None:
        """Go on with what came after the file that was read: usually one; two when it was turned over twice meanwhile."""
        read = self._files[0].inode if self._files else None
        self.close()
        self._files = self._logs.files(self._which)
        if len(self._files) > 1 and (read is None or self._files[0].inode == read):
            self._files.pop(0).close()
