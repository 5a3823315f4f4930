# SPDX-License-Identifier: Apache-2.0
"""A session at the node: what the client says goes to the process, what the process says goes to the client, until one of them has enough.

Neither waits for the other. A process that takes no more input may go on talking, so that is told and no end; the end of the client's messages means
that nobody watches any more, and is no end of input: that is said in so many words, lest half of an upload be taken for all of it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from google.protobuf.message import DecodeError

from zun.drivers.runtime.base import ByteSession
from zun.drivers.runtime.types import Chunk
from zun.model.errors import Invalid, ZunError
from zun.nodestreams import converting, failures
from zun.nodestreams import messages_pb2 as pb
from zun.services.reading_ahead import Outbox, reading_ahead


class Conversation:
    """One session. `run` returns when all is said or the client has left; raises what the process's output failed with."""

    def __init__(
        self, session: ByteSession, requests: AsyncIterator[bytes], write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        self._session = session
        self._requests = requests
        self._write = write
        self._refused: ZunError | None = None
        self._outbox: Outbox | None = None

    async def run(self) -> None:
        """Talk."""
        sides = [asyncio.create_task(side()) for side in (self._tell, self._listen)]
        try:
            done, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            for side in done:
                side.result()
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)

    async def _tell(self) -> None:
        async with reading_ahead(self._output()) as self._outbox:
            while (batch := await self._outbox.take()) is not None:
                output = converting.output_message(batch)
                if self._refused is not None:
                    output.input_closed.CopyFrom(failures.told(self._refused))
                await self._write(output.SerializeToString())
        await self._write(pb.Output(ended=True).SerializeToString())
        code = await self._session.exit_code()
        await self._write(pb.Output(exit=pb.Exit(code=code)).SerializeToString())

    async def _output(self) -> AsyncIterator[Chunk]:
        while (chunk := await self._session.read()) is not None:
            yield chunk

    async def _listen(self) -> None:
        async for request in self._requests:
            try:
                said = pb.SessionInput.FromString(request)
            except DecodeError as error:
                raise Invalid("The node was sent what is no message of a session.") from error
            try:
                match said.WhichOneof("what"):
                    case "data":
                        await self._session.write(said.data)
                    case "end":
                        await self._session.close_stdin()
            except ZunError as error:
                self._refuse(error)

    def _refuse(self, error: ZunError) -> None:
        """The process takes no more; what still comes is dropped."""
        self._refused = self._refused or error
        if self._outbox is not None:
            self._outbox.wake()
