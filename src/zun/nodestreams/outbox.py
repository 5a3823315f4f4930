# SPDX-License-Identifier: Apache-2.0
"""Between a source of output and a connection that may be slower: reads ahead in bounds, and puts small pieces together.

A log gives a piece for each line; a message for each would cost more than its bytes. Nothing waits for company: what is there goes out.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from operator import attrgetter

from zun.drivers.runtime.types import Channel, Chunk
from zun.model.errors import ZunError
from zun.nodestreams.protocol import AHEAD_BYTES, BATCH_BYTES

Batch = list[tuple[Channel, bytes]]


class Outbox:
    """One producer puts, one consumer takes."""

    def __init__(self) -> None:
        self._waiting: deque[Chunk] = deque()
        self._bytes = 0
        self._failure: ZunError | None = None
        self._ended = False
        self._more = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, chunk: Chunk) -> None:
        """Add a piece; waits while too much is there already."""
        data = chunk.data
        for start in range(0, len(data), BATCH_BYTES):
            while self._bytes >= AHEAD_BYTES:
                self._room.clear()
                await self._room.wait()
            piece = chunk if len(data) <= BATCH_BYTES else Chunk(chunk.channel, data[start : start + BATCH_BYTES])
            self._waiting.append(piece)
            self._bytes += len(piece.data)
            self._more.set()

    def end(self, failure: ZunError | None = None) -> None:
        """Nothing more comes, because of a failure perhaps."""
        self._ended, self._failure = True, failure
        self._more.set()

    def wake(self) -> None:
        """Let the consumer come back, with nothing perhaps."""
        self._more.set()

    async def take(self) -> Batch | None:
        """What is there, as much as goes into one message; waits for something. None at the end; raises what the source failed with.

        The batch is empty when somebody called `wake`.
        """
        if not self._waiting and not self._ended:
            await self._more.wait()
        self._more.clear()
        taken: list[Chunk] = []
        size = 0
        while self._waiting and (not taken or size + len(self._waiting[0].data) <= BATCH_BYTES):
            chunk = self._waiting.popleft()
            taken.append(chunk)
            size += len(chunk.data)
        self._bytes -= size
        self._room.set()
        if taken or not self._ended:
            return [_joined(channel, list(run)) for channel, run in groupby(taken, attrgetter("channel"))]
        if self._failure is not None:
            raise self._failure
        return None


def _joined(channel: Channel, run: list[Chunk]) -> tuple[Channel, bytes]:
    return channel, run[0].data if len(run) == 1 else b"".join([chunk.data for chunk in run])


@asynccontextmanager
async def reading_ahead(source: Callable[[], AsyncIterator[Chunk]]) -> AsyncIterator[Outbox]:
    """An outbox that is filled from the source as long as the context lasts."""
    outbox = Outbox()

    async def fill() -> None:
        try:
            async for chunk in source():
                await outbox.put(chunk)
        except ZunError as error:
            outbox.end(error)
        else:
            outbox.end()

    filling = asyncio.create_task(fill())
    filling.add_done_callback(lambda _: outbox.end() if filling.cancelled() or filling.exception() else None)
    try:
        yield outbox
        await filling
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
