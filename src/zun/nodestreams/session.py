# SPDX-License-Identifier: Apache-2.0
"""A session with a process on another machine: `ByteSession` over one call.

A reader or writer that is cancelled must not end the call (a console cancels its reader, and then ends the input); so tasks of the session's
own read and write, and callers wait for those.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from zun.drivers.runtime.types import Chunk
from zun.model.errors import Conflict, ZunError
from zun.nodestreams import converting, failures
from zun.nodestreams import messages_pb2 as pb
from zun.nodestreams.channels import Connection
from zun.nodestreams.protocol import PIECE_BYTES
from zun.nodestreams.reply import Reply, in_our_words
from zun.services.reading_ahead import Outbox, reading_ahead

_LEAVING_SECONDS = 1.5
"""Who leaves waits so long for what was written to reach the process."""

_ENDED = "Its standard input is closed: the process has ended or its end of input was sent already."


class RemoteSession:
    """Implements `ByteSession`, within `opened`."""

    def __init__(self, call: Any, node: str, connection: Connection) -> None:
        self._call = call
        self._node = node
        self._connection = connection
        self._reply = Reply(call, pb.Output.FromString, node, connection)
        self._incoming = Outbox()
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._over = False
        self._failure: ZunError | None = None
        self._exit: pb.Exit | None = None
        self._input_open = True
        self._refused: ZunError | None = None

    async def read(self) -> Chunk | None:
        """The next piece of output; None at the end."""
        if self._over:
            return None
        try:
            return await anext(self._incoming)
        except StopAsyncIteration:
            self._over = True
            return None
        except ZunError:
            self._over = True
            raise

    async def write(self, data: bytes) -> None:
        """To the process's stdin; waits while it does not read."""
        for start in range(0, len(data), PIECE_BYTES):
            if not self._input_open or self._over:
                raise Conflict(_ENDED)
            if self._refused is not None:
                raise Conflict(self._refused.message, code=self._refused.code)
            await self._outgoing.put(pb.SessionInput(data=data[start : start + PIECE_BYTES]).SerializeToString())

    async def close_stdin(self) -> None:
        """End of input."""
        if self._input_open:
            self._input_open = False
            await self._outgoing.put(pb.SessionInput(end=True).SerializeToString())

    async def exit_code(self) -> int | None:
        """The process's exit code, once `read` has returned None."""
        if self._failure is not None:
            raise self._failure
        while self._exit is None:
            message = await self._reply.first(lambda message: message)
            self._exit = message.exit if message.HasField("exit") else None
        return converting.exit_code(self._exit)

    @asynccontextmanager
    async def opened(self, what: pb.SessionOpen) -> AsyncIterator[None]:
        """Open it, and leave it in the end. Raises what the node refuses it with."""
        try:
            with in_our_words(self._node, self._connection):
                await self._call.write(pb.SessionInput(open=what).SerializeToString())
            await self._reply.first(lambda _: True)
            sending = asyncio.create_task(self._send())
            try:
                async with reading_ahead(self._output(), ahead_bytes=1) as self._incoming:
                    yield
                    await self._leave()
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        finally:
            self._call.cancel()

    async def _output(self) -> AsyncIterator[Chunk]:
        """Until the process has said all."""
        try:
            while True:
                chunks, message = await self._reply.first(_heard)
                if message.HasField("input_closed"):
                    self._refused = failures.heard(message.input_closed, self._node)
                for chunk in chunks:
                    yield chunk
                if message.ended:
                    return
        except ZunError as error:
            self._failure = error
            raise

    async def _send(self) -> None:
        """What is written, in order. When the call takes no more it is dropped; who writes then is told."""
        broken = False
        while (message := await self._outgoing.get()) is not None:
            if broken:
                continue
            try:
                with in_our_words(self._node, self._connection):
                    await self._call.write(message)
            except ZunError:
                broken = True
                self._refused = self._refused or Conflict(_ENDED)
        if not broken:
            await self._call.done_writing()

    async def _leave(self) -> None:
        """Let what was written arrive: the node ends the call when it has heard all of it, and that we leave."""
        try:
            async with asyncio.timeout(_LEAVING_SECONDS):
                await self._outgoing.put(None)
                while await self.read() is not None:
                    pass
        except (TimeoutError, ZunError):
            return  # the process does not take it, or is gone; so are we


def _heard(message: pb.Output) -> tuple[list[Chunk], pb.Output]:
    return list(converting.chunks(message)), message
