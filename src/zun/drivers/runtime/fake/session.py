# SPDX-License-Identifier: Apache-2.0
"""A conversation with a made-up process."""

import asyncio
from collections import deque

from zun.drivers.runtime.fake.process import Process
from zun.drivers.runtime.types import Channel, Chunk
from zun.model.errors import Conflict


class Session:
    """Implements `ByteSession` for exec and attach."""

    def __init__(self, *, owns_input: bool) -> None:
        self.process: Process | None = None
        self._owns_input = owns_input
        self._early = b""
        self._input_open = True
        self._chunks: deque[Chunk] = deque()
        self._changed = asyncio.Event()
        self._over = False
        self._exit_code: int | None = None

    def begin(self, process: Process) -> None:
        """Its process starts; what was written before reaches it now."""
        self.process = process
        if self._early:
            process.feed(self._early)
            self._early = b""
        if not self._input_open and self._owns_input:
            process.end_input()

    def push(self, channel: Channel, data: bytes) -> None:
        """More output."""
        if data:
            self._chunks.append(Chunk(channel, data))
            self._changed.set()

    def finish(self, exit_code: int | None) -> None:
        """The process ended."""
        self._over = True
        self._exit_code = exit_code
        self._changed.set()

    async def read(self) -> Chunk | None:
        """The next piece, or None at the end."""
        while not self._chunks:
            if self._over:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._chunks.popleft()

    async def write(self, data: bytes) -> None:
        """To its stdin, once it has read what is there."""
        if self.process is not None:
            await self.process.room()
        if self._over or not self._input_open:
            raise Conflict("Its standard input is closed: the process has ended or its end of input was sent already.")
        if self.process is not None:
            self.process.feed(data)
        else:
            self._early += data

    async def close_stdin(self) -> None:
        """End of input; a container's own stays open for the next who attaches."""
        self._input_open = False
        if self.process is not None and self._owns_input:
            self.process.end_input()

    async def exit_code(self) -> int | None:
        """Known once it ended."""
        return self._exit_code
