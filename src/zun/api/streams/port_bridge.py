# SPDX-License-Identifier: Apache-2.0
"""Between a WebSocket and a connection to a port: bytes as binary messages, and the text `end` when one side says no more.

Neither side is read faster than the other takes it: a message is fetched when the one before was taken. Each way ends by itself, as in TCP. A
container's side that has ended while the client goes on is given up after `_LINGER_SECONDS` of silence: what is left of it may be a process that
is gone. A connection that is open both ways may be silent for as long as it likes.
"""

import asyncio
import logging

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from zun.api.streams.bridge import FAILED, GONE, NORMAL, PROTOCOL_ERROR, close
from zun.api.streams.options import StreamOptions
from zun.drivers.runtime.base import Tunnel
from zun.model.errors import ZunError

_LOG = logging.getLogger(__name__)

END = "end"
_LINGER_SECONDS = 30.0

Ending = tuple[int, str]
"""A close code and why."""

_SAID = (NORMAL, "")


class _DeafError(Exception):
    """The container does not take what it is sent."""


class PortBridge:
    """One connection."""

    def __init__(self, tunnel: Tunnel, socket: WebSocket, options: StreamOptions) -> None:
        self._tunnel = tunnel
        self._socket = socket
        self._stall_seconds = options.stall_seconds
        self._linger_seconds = min(_LINGER_SECONDS, options.stall_seconds)
        self._silent: asyncio.Timeout | None = None
        self._container_ended = False

    async def run(self) -> None:
        """Carry bytes until both ways have ended, one side is gone, or one takes nothing for too long; then close the socket."""
        ways = [asyncio.create_task(way()) for way in (self._outwards, self._inwards)]
        pending, ending = set(ways), _SAID
        try:
            while pending and ending == _SAID:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                ending = next((one for one in (way.result() for way in done) if one != _SAID), _SAID)
        finally:
            for task in ways:
                task.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        if ending[0] != GONE:
            await close(self._socket, *ending)

    async def _outwards(self) -> Ending:
        """From the container to the client."""
        try:
            while (data := await self._tunnel.read()) is not None:
                async with asyncio.timeout(self._stall_seconds):
                    await self._socket.send_bytes(data)
            async with asyncio.timeout(self._stall_seconds):
                await self._socket.send_text(END)
        except WebSocketDisconnect:
            return GONE, ""
        except TimeoutError:
            return FAILED, "The client took nothing for too long."  # else what broke off would look complete
        except ZunError as error:
            return FAILED, error.message
        self._container_ended = True
        self._listen_on()
        return _SAID

    async def _inwards(self) -> Ending:
        """From the client to the container, which may take no more and still have something to say: then it is dropped."""
        takes = True
        try:
            while True:
                message = await self._heard()
                if message["type"] == "websocket.disconnect":
                    return GONE, ""
                text = message.get("text")
                if text == END:
                    await self._taken(None)
                    return _SAID
                if text is not None:
                    return PROTOCOL_ERROR, f"The only text in a connection is {END!r}; bytes go in binary messages."
                takes = takes and await self._taken(message.get("bytes") or b"")
        except _DeafError:
            return FAILED, "The container took nothing for too long."
        except TimeoutError:
            return _SAID

    async def _heard(self) -> Message:
        """The client's next message. Raises `TimeoutError` when it says nothing for too long though the container has ended."""
        try:
            async with asyncio.timeout(None) as silent:
                self._silent = silent
                self._listen_on()
                return await self._socket.receive()
        finally:
            self._silent = None

    async def _taken(self, data: bytes | None) -> bool:
        """Whether the container takes more. Raises `_DeafError` when it did not take this in time."""
        try:
            async with asyncio.timeout(self._stall_seconds):
                await (self._tunnel.end() if data is None else self._tunnel.write(data))
        except ZunError as error:
            _LOG.debug("What the client sends is dropped: %s", error.message)
            return False
        except TimeoutError as error:
            raise _DeafError from error
        return True

    def _listen_on(self) -> None:
        """Who is listened to gets time for the next message: as much as it likes, or a little when the container has ended."""
        if self._silent is not None and self._container_ended:
            self._silent.reschedule(asyncio.get_running_loop().time() + self._linger_seconds)
