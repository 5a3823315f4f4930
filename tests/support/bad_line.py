# SPDX-License-Identifier: Apache-2.0
"""A line between two machines that can go dead or be cut: a TCP proxy on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zun.nodestreams.addresses import Address

_PIECE = 65536


class BadLine:
    """Carries bytes to `target` until `go_dead` (nothing arrives any more, and nobody is told) or `cut` (both ends are told)."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._alive = asyncio.Event()
        self._alive.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Address]:
        """Where it begins."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        try:
            yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
        finally:
            server.close()
            self._alive.set()
            self.cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def go_dead(self) -> None:
        """From now on bytes vanish; new connections are taken and never answered."""
        self._alive.clear()

    def come_back(self) -> None:
        """It carries again."""
        self._alive.set()

    def cut(self) -> None:
        """All connections end."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        await self._alive.wait()
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(back)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._carry(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(_PIECE):
                await self._alive.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()
            self._writers.discard(sink)
