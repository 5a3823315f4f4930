# SPDX-License-Identifier: Apache-2.0
"""A connection to a port, at the node: what the client says goes into the container, what the container says goes to the client.

Each way ends by itself, and in so many words. A container that takes no more may still have something to say (a server that refuses an upload):
so what it does not take is dropped. The end of the client's messages means that nobody is there any more, and ends both ways.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from google.protobuf.message import DecodeError

from zun.drivers.runtime.base import Tunnel
from zun.model.errors import Invalid, ZunError
from zun.nodestreams import messages_pb2 as pb
from zun.nodestreams.protocol import PIECE_BYTES


class Carrying:
    """One connection. `run` returns when both ways have ended or the client has left; raises what the connection broke with."""

    def __init__(
        self, tunnel: Tunnel, requests: AsyncIterator[bytes], write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        self._tunnel = tunnel
        self._requests = requests
        self._write = write

    async def run(self) -> None:
        """Carry."""
        telling, listening = (asyncio.create_task(way()) for way in (self._tell, self._listen))
        try:
            await asyncio.wait((telling, listening), return_when=asyncio.FIRST_COMPLETED)
            if listening.done() and not listening.result():
                return
            await telling
            await listening
        finally:
            for way in (telling, listening):
                way.cancel()
            await asyncio.gather(telling, listening, return_exceptions=True)

    async def _tell(self) -> None:
        while (data := await self._tunnel.read()) is not None:
            for start in range(0, len(data), PIECE_BYTES):
                await self._write(pb.TunnelOut(data=data[start : start + PIECE_BYTES]).SerializeToString())
        await self._write(pb.TunnelOut(end=True).SerializeToString())

    async def _listen(self) -> bool:
        """Whether the client said the end, rather than left without a word."""
        takes = True
        async for request in self._requests:
            try:
                said = pb.TunnelIn.FromString(request)
            except DecodeError as error:
                raise Invalid("The node was sent what is no message of a connection.") from error
            what = said.WhichOneof("what")
            if what == "end":
                await self._tunnel.end()
                return True
            if what == "data" and takes:
                takes = await self._taken(said.data)
        return False

    async def _taken(self, data: bytes) -> bool:
        try:
            await self._tunnel.write(data)
        except ZunError:
            return False
        return True
