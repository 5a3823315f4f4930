# SPDX-License-Identifier: Apache-2.0
"""A session with a process on another machine: `ByteSession` over one call.

A reader or writer that is cancelled must not end the call (a console cancels its reader, and then ends the input); so two tasks of the session's own
read and write, and callers wait for those.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from zun.drivers.runtime.types import Chunk
from zun.model.errors import Conflict, ZunError
from zun.nodestreams import converting, failures
from zun.nodestreams import messages_pb2 as pb
from zun.nodestreams.channels import Connection
from zun.nodestreams.protocol import PIECE_BYTES
from zun.nodestreams.reply import Reply, broken_off, in_our_words

_LEAVING_SECONDS = 1.5
"""Who leaves waits so long for what was written to reach the process."""

_ENDED = "Its standard input is closed: the process has ended or its end of input was sent already."


class RemoteSession:
    """Implements `ByteSession`."""

    def __init__(self, call: Any, node: str, connection: Connection) -> None:
        self._call = call
        self._node = node
        self._connection = connection
        self._reply = Reply(call, pb.Output.FromString, node, connection)
        self._ready: deque[Chunk] = deque()
        self._incoming: asyncio.Queue[list[Chunk] | None] = asyncio.Queue(1)
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._over = False
        self._input_open = True
        self._refused: ZunError | None = None
        self._failure: ZunError | None = None
        self._exit: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._broken = False
        self._left = False

    async def read(self) -> Chunk | None:
        """The next piece of output; None at the end."""
        while not self._ready:
            if self._over:
                return None
            found = await self._incoming.get()
            if found is not None:
                self._ready.extend(found)
                continue
            self._over = True
            if self._failure is not None:
                raise self._failure
        return self._ready.popleft()

    async def write(self, data: bytes) -> None:
        """To the process's stdin; waits while it does not read."""
        for start in range(0, len(data), PIECE_BYTES):
            if not self._input_open or self._over or self._broken:
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
        return await asyncio.shield(self._exit)

    @asynccontextmanager
    async def opened(self, what: pb.SessionOpen) -> AsyncIterator[None]:
        """Open it, and leave it in the end. Raises what the node refuses it with."""
        with in_our_words(self._node, self._connection):
            await self._call.write(pb.SessionInput(open=what).SerializeToString())
        await self._reply.first(lambda _: True)
        tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._send())]
        try:
            yield
            await self._leave(tasks)
        finally:
            self._call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._exit.cancel()

    async def _receive(self) -> None:
        """Until the node has said all. What comes after somebody left is dropped."""
        ended = False
        try:
            while (output := await self._reply.next(_heard)) is not None:
                chunks, message = output
                if message.HasField("input_closed"):
                    self._refused = failures.heard(message.input_closed, self._node)
                if chunks:
                    await self._hand_over(chunks)
                if message.ended and not ended:
                    ended = True
                    await self._hand_over(None)
                if message.HasField("exit") and not self._exit.done():
                    self._exit.set_result(converting.exit_code(message.exit))
            failure: ZunError = broken_off(self._node)
        except ZunError as error:
            failure = error
        if not ended:
            self._failure = failure
            await self._hand_over(None)
        if not self._exit.done():
            self._exit.set_exception(failure)
            self._exit.exception()  # nobody need ask

    async def _hand_over(self, chunks: list[Chunk] | None) -> None:
        if not self._left:
            await self._incoming.put(chunks)

    async def _send(self) -> None:
        """What is written, in order. When the call takes no more it is dropped; who writes then is told."""
        while (message := await self._outgoing.get()) is not None:
            if self._broken:
                continue
            try:
                with in_our_words(self._node, self._connection):
                    await self._call.write(message)
            except ZunError:
                self._broken = True
        if not self._broken:
            await self._call.done_writing()

    async def _leave(self, tasks: list[asyncio.Task[None]]) -> None:
        """Let what was written arrive; the node ends the call when it has heard that we leave."""
        self._left = True
        while not self._incoming.empty():
            self._incoming.get_nowait()
        try:
            async with asyncio.timeout(_LEAVING_SECONDS):
                await self._outgoing.put(None)
                await asyncio.wait(tasks)
        except TimeoutError:
            return  # the process does not take it


def _heard(message: pb.Output) -> tuple[list[Chunk], pb.Output]:
    return list(converting.chunks(message)), message
