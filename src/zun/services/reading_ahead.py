# SPDX-License-Identifier: Apache-2.0
"""Between a source of output and a reader that may be slower: reads ahead in bounds, and puts small pieces together.

An engine tells a log line by line; whoever passes each on by itself spends far more on the passing than on the bytes. Nothing waits for
company: what is there is given out.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zun.drivers.runtime.types import Channel, Chunk
from zun.model.errors import ZunError

AHEAD_BYTES = 256 * 1024
"""So much is read before anybody wants it, but for one piece."""

BATCH_BYTES = 128 * 1024
"""Pieces are put together up to this size, and longer ones cut."""


class _Run:
    """Pieces of one channel that follow each other."""

    __slots__ = ("channel", "pieces", "size")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.pieces: list[bytes] = []
        self.size = 0


class Outbox(AsyncIterator[Chunk]):
    """One producer puts, one consumer iterates, or takes as much as there is."""

    def __init__(self, ahead_bytes: int = AHEAD_BYTES) -> None:
        self._ahead_bytes = ahead_bytes
        self._runs: deque[_Run] = deque()
        self._bytes = 0
        self._failure: BaseException | None = None
        self._ended = False
        self._more = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether the producer should wait for `room`."""
        return self._bytes >= self._ahead_bytes

    def put(self, chunk: Chunk) -> None:
        """Add a piece."""
        data = chunk.data
        if len(data) <= BATCH_BYTES:
            self._add(chunk.channel, data)
        else:
            for start in range(0, len(data), BATCH_BYTES):
                self._add(chunk.channel, data[start : start + BATCH_BYTES])
        self._more.set()

    async def room(self) -> None:
        """Return when there is room."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    def end(self, failure: BaseException | None = None) -> None:
        """Nothing more comes, because of a failure perhaps."""
        self._ended, self._failure = True, failure
        self._more.set()

    def wake(self) -> None:
        """Let the consumer come back from `take`, with nothing perhaps."""
        self._more.set()

    async def take(self) -> list[Chunk] | None:
        """What is there, up to `BATCH_BYTES`; waits for something. None at the end; raises what the source failed with.

        The list is empty when somebody called `wake`.
        """
        if not self._runs and not self._ended:
            await self._more.wait()
        self._more.clear()
        taken: list[Chunk] = []
        size = 0
        while self._runs and (not taken or size + self._runs[0].size <= BATCH_BYTES):
            taken.append(self._next())
            size += len(taken[-1].data)
        if taken or not self._ended:
            return taken
        self._over()
        return None

    async def __anext__(self) -> Chunk:
        while not self._runs:
            if self._ended:
                self._over()
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._next()

    def _over(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _next(self) -> Chunk:
        run = self._runs.popleft()
        self._bytes -= run.size
        self._room.set()
        return Chunk(run.channel, run.pieces[0] if len(run.pieces) == 1 else b"".join(run.pieces))

    def _add(self, channel: Channel, data: bytes) -> None:
        run = self._runs[-1] if self._runs else None
        if run is None or run.channel is not channel or run.size + len(data) > BATCH_BYTES:
            run = _Run(channel)
            self._runs.append(run)
        run.pieces.append(data)
        run.size += len(data)
        self._bytes += len(data)


@asynccontextmanager
async def reading_ahead(source: AsyncIterator[Chunk], ahead_bytes: int = AHEAD_BYTES) -> AsyncIterator[Outbox]:
    """An outbox that is filled from the source as long as the context lasts. Who waits for it may be cancelled without harm to the source."""
    outbox = Outbox(ahead_bytes)

    async def fill() -> None:
        try:
            async for chunk in source:
                outbox.put(chunk)
                if outbox.full:
                    await outbox.room()
        except ZunError as error:
            outbox.end(error)
        else:
            outbox.end()

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:  # a mistake of ours: whoever reads is to know
            outbox.end(task.exception())

    filling = asyncio.create_task(fill())
    filling.add_done_callback(ended)
    try:
        yield outbox
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
