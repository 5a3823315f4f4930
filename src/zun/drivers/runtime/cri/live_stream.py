# SPDX-License-Identifier: Apache-2.0
"""A conversation with the engine's streaming server, over a WebSocket (sub-protocol v4.channel.k8s.io).

The first byte of each message is a channel: 0 input, 1 output, 2 errors, 3 a closing word, 4 the terminal's size. The address comes from
the CRI, works once, and is on this machine. The websockets library is the one the API's server uses, so it costs no memory of its own.
"""

from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from zun.drivers.runtime.types import Channel, Chunk
from zun.model.errors import Conflict, Unavailable

_PROTOCOL = "v4.channel.k8s.io"
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_LARGEST_MESSAGE = 16 << 20
_PIECE = 32 << 10
_INPUT = b"\x00"
_CHANNELS = {1: Channel.STDOUT, 2: Channel.STDERR}


class LiveStream:
    """Output as it comes, and a way in. Made by `open`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._broken = False

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to an address of the streaming server. Raises `Unavailable`."""
        try:
            connection = await connect(
                url.replace("http", "ws", 1),
                subprotocols=[_PROTOCOL],  # type: ignore[list-item]
                compression=None,
                max_size=_LARGEST_MESSAGE,
                ping_interval=None,  # the server answers none
                proxy=None,
                open_timeout=_OPEN_SECONDS,
                close_timeout=_CLOSE_SECONDS,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise Unavailable("The engine's streaming server does not answer; look at the engine's log.") from error
        return cls(connection)

    async def read(self) -> Chunk | None:
        """The next piece of output; None at the end."""
        while True:
            try:
                message = await self._connection.recv(decode=False)
            except ConnectionClosed:
                return None
            channel = _CHANNELS.get(message[0]) if message else None
            if channel is not None and len(message) > 1:
                return Chunk(channel, bytes(message[1:]))

    async def write(self, data: bytes) -> None:
        """To the process's input; waits while it does not read. Raises `Conflict` after its end."""
        try:
            for start in range(0, len(data), _PIECE):
                await self._connection.send(_INPUT + data[start : start + _PIECE])
        except ConnectionClosed as error:
            raise Conflict("Its standard input is closed: the process has ended.") from error

    async def close(self) -> None:
        """End the conversation, and the process's input where that is for one session only."""
        await self._connection.close()
