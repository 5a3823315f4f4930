# SPDX-License-Identifier: Apache-2.0
"""A connection to a port of a container on another machine: `Tunnel` over one call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from zun.model.errors import Conflict, ZunError
from zun.nodestreams import messages_pb2 as pb
from zun.nodestreams.channels import Connection
from zun.nodestreams.protocol import PIECE_BYTES
from zun.nodestreams.reply import Reply, in_our_words

_LEAVING_SECONDS = 1.5
"""When all is said both ways, the node gets so long to end the call, lest cancelling it overtakes the last message."""


class RemoteTunnel:
    """Implements `Tunnel`, within `opened`. Who stops waiting for one of its calls ends it."""

    def __init__(self, call: Any, node: str, connection: Connection) -> None:
        self._call = call
        self._node = node
        self._connection = connection
        self._reply = Reply(call, pb.TunnelOut.FromString, node, connection)
        self._over = False
        self._said_end = False

    async def read(self) -> bytes | None:
        """The next bytes; None when the container's side says no more."""
        while not self._over:
            data, self._over = await self._reply.first(lambda message: (message.data, message.end))
            if data:
                return data
        return None

    async def write(self, data: bytes) -> None:
        """To the container; waits while it does not read."""
        if self._said_end:
            raise Conflict("The end of this connection was sent already; connect again.")
        for start in range(0, len(data), PIECE_BYTES):
            await self._say(pb.TunnelIn(data=data[start : start + PIECE_BYTES]))

    async def end(self) -> None:
        """We say no more."""
        if not self._said_end:
            self._said_end = True
            await self._say(pb.TunnelIn(end=True))

    async def _say(self, message: pb.TunnelIn) -> None:
        with in_our_words(self._node, self._connection):
            await self._call.write(message.SerializeToString())

    @asynccontextmanager
    async def opened(self, what: pb.TunnelOpen) -> AsyncIterator[None]:
        """Open it, and leave it in the end. Raises what the node refuses it with."""
        try:
            await self._say(pb.TunnelIn(open=what))
            await self._reply.first(lambda _: True)
            yield
            if self._over and self._said_end:
                await self._until_the_node_has_ended_it()
        finally:
            self._call.cancel()

    async def _until_the_node_has_ended_it(self) -> None:
        try:
            async with asyncio.timeout(_LEAVING_SECONDS):
                while await self._reply.next(lambda _: True):
                    pass
        except (TimeoutError, ZunError):
            return  # it is over for us all the same
