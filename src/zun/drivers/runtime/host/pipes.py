# SPDX-License-Identifier: Apache-2.0
"""Pipes between a process's three streams and us, named ones (a shim holds their other ends) and plain ones (of our own children).

Never blocking, with back-pressure both ways: what is not read stays in the pipe, and who writes to a full one waits.
"""

import asyncio
import errno
import os
from pathlib import Path
from typing import Self

from zun.model.errors import Conflict

PIECE = 64 << 10
_GONE = "Its standard input is closed: the process has ended or its end of input was sent already."


class PipeReader:
    """Our end of a stream that a process writes."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._over = False

    @classmethod
    def named(cls, path: Path) -> Self:
        """Of a named pipe. Opened before the other end, so that nothing is missed, and read once that is there too."""
        return cls(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))

    async def read(self) -> bytes:
        """The next bytes; empty at the end. To be awaited by one task only."""
        while not self._over:
            try:
                data = os.read(self._descriptor, PIECE)
            except BlockingIOError:
                await _ready(self._descriptor, writing=False)
                continue
            if not data:
                self.close()
            return data
        return b""

    def close(self) -> None:
        """Let go of it."""
        if not self._over:
            self._over = True
            os.close(self._descriptor)


class PipeWriter:
    """Our end of a process's input."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor: int | None = descriptor
        self._lock = asyncio.Lock()

    @classmethod
    def named(cls, path: Path) -> Self:
        """Of a named pipe. With both directions it opens at once, whether the other end is there or not."""
        return cls(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))

    def settle(self, path: Path) -> None:
        """The other end is there: from now on ours is for writing alone, so that its end is noticed."""
        both = self._descriptor
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            self._descriptor = None  # it has ended already
        finally:
            if both is not None:
                os.close(both)

    async def write(self, data: bytes) -> None:
        """All of it; waits while nobody reads. Raises `Conflict` when nobody ever will."""
        async with self._lock:
            left = memoryview(data)
            while left:
                if self._descriptor is None:
                    raise Conflict(_GONE)
                try:
                    left = left[os.write(self._descriptor, left[:PIECE]) :]
                except BlockingIOError:
                    await _ready(self._descriptor, writing=True)
                except BrokenPipeError as error:
                    self.close()
                    raise Conflict(_GONE) from error

    def close(self) -> None:
        """End of input, once everybody who writes has let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


async def _ready(descriptor: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
