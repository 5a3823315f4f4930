# SPDX-License-Identifier: Apache-2.0
"""Between a WebSocket and a process: bytes both ways, neither side faster than the other takes them.

What a client sends waits in a small buffer while the process does not read; when that is full, the socket is not read, and so the client
waits. What the process prints is read when the client took what came before. Sizes of the terminal never wait behind input.
"""

import asyncio
import logging
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from zun.api.streams.framing import End, EndOfInput, Input, Size, end_frame, output_frame, read_frame
from zun.drivers.runtime.types import Chunk
from zun.model.errors import Invalid, ZunError
from zun.services.live import Console

_LOG = logging.getLogger(__name__)
_INPUT_MESSAGES = 32
_CLOSE_SECONDS = 5.0

GONE = 1001
NORMAL = 1000
PROTOCOL_ERROR = 1002
FAILED = 1011
_MAX_REASON_BYTES = 120  # of the 123 that a close frame holds


class Framing(Protocol):
    """How bytes and messages become each other."""

    def output(self, chunk: Chunk) -> bytes:
        """Output as a message."""

    def end(self, end: End) -> bytes | None:
        """The end as a message, if it is told by one."""

    def read(self, message: bytes) -> Input | Size | EndOfInput:
        """A client's message. Raises `Invalid`."""


class Plain:
    """Sub-protocol `binary`, or none: nothing but bytes."""

    def output(self, chunk: Chunk) -> bytes:
        """As they are; stdout and stderr are one."""
        return chunk.data

    def end(self, end: End) -> bytes | None:  # noqa: ARG002 - the form of all framings
        """Told by closing."""
        return None

    def read(self, message: bytes) -> Input | Size | EndOfInput:
        """All input."""
        return Input(message)


class Framed:
    """Sub-protocol `zun.v1`."""

    def output(self, chunk: Chunk) -> bytes:
        """With its channel."""
        return output_frame(chunk)

    def end(self, end: End) -> bytes | None:
        """With the exit code."""
        return end_frame(end)

    def read(self, message: bytes) -> Input | Size | EndOfInput:
        """By its channel. Raises `Invalid`."""
        return read_frame(message)


class Bridge:
    """One open console."""

    def __init__(self, console: Console, socket: WebSocket, framing: Framing, stall_seconds: float) -> None:
        self._console = console
        self._socket = socket
        self._framing = framing
        self._stall_seconds = stall_seconds
        self._input: asyncio.Queue[Input | EndOfInput] = asyncio.Queue(_INPUT_MESSAGES)
        self._size: Size | None = None
        self._resized = asyncio.Event()

    async def run(self) -> None:
        """Carry bytes until the process ends, the client leaves, or one of them stalls; then close the socket."""
        sides = [asyncio.create_task(side()) for side in (self._outwards, self._inwards)]
        helpers = [asyncio.create_task(helper()) for helper in (self._feed, self._resize)]
        try:
            done, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            code, reason = next(iter(done)).result()
        finally:
            for task in (*sides, *helpers):
                task.cancel()
            await asyncio.gather(*sides, *helpers, return_exceptions=True)
        if code != GONE:
            await close(self._socket, code, reason)
        elif self._console.exec_id:
            await self._hang_up()

    async def _hang_up(self) -> None:
        """Nobody will type any more: a shell that reads ends then. The container's own process keeps its input for the next attach."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._console.session.close_stdin()
        except (ZunError, TimeoutError) as error:
            _LOG.debug("The input was not closed: %s", error)

    async def _outwards(self) -> tuple[int, str]:
        """From the process to the client; how to close the socket."""
        end, code = End(None), NORMAL
        try:
            while (chunk := await self._console.session.read()) is not None:
                await self._send(self._framing.output(chunk))
            async with asyncio.timeout(self._stall_seconds):
                end = End(await self._console.session.exit_code())
        except (WebSocketDisconnect, TimeoutError):
            return GONE, ""
        except ZunError as error:
            end, code = End(None, error.message), FAILED
        last = self._framing.end(end)
        try:
            if last is not None:
                await self._send(last)
        except (WebSocketDisconnect, TimeoutError):
            return GONE, ""
        return code, end.reason

    async def _send(self, message: bytes) -> None:
        async with asyncio.timeout(self._stall_seconds):
            await self._socket.send_bytes(message)

    async def _inwards(self) -> tuple[int, str]:
        """From the client; ends when it leaves or sends what it may not."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return GONE, ""
            text = message.get("text")
            data = message.get("bytes") or b""
            try:
                item = self._framing.read(text.encode() if text is not None else data)
            except Invalid as error:
                return PROTOCOL_ERROR, error.message
            if isinstance(item, Size):
                self._size = item
                self._resized.set()
                continue
            try:
                async with asyncio.timeout(self._stall_seconds):
                    await self._input.put(item)
            except TimeoutError:
                return FAILED, "The process took no input for too long."

    async def _feed(self) -> None:
        """From the buffer to the process. After its end, what still comes is dropped, while its last output goes out."""
        ended = False
        while True:
            item = await self._input.get()
            if ended or (isinstance(item, Input) and not item.data):
                continue
            try:
                if isinstance(item, Input):
                    await self._console.session.write(item.data)
                else:
                    await self._console.session.close_stdin()
            except ZunError as error:
                _LOG.debug("Input is dropped: %s", error.message)
                ended = True

    async def _resize(self) -> None:
        """The newest size counts; one that cannot be set is no reason to end the session."""
        while True:
            await self._resized.wait()
            self._resized.clear()
            size = self._size
            if size is None:
                continue
            try:
                async with asyncio.timeout(self._stall_seconds):
                    await self._console.resize(width=size.width, height=size.height)
            except (ZunError, TimeoutError) as error:
                _LOG.debug("The terminal's size was not changed: %s", error)


async def close(socket: WebSocket, code: int, reason: str = "") -> None:
    """Close, whether or not the client is still there."""
    short = reason.encode()[:_MAX_REASON_BYTES].decode("utf-8", "ignore")
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await socket.close(code, short)
    except (
        WebSocketDisconnect,
        TimeoutError,
        RuntimeError,
    ) as error:  # closed already, by the client or by the server that stops
        _LOG.debug("The socket was closed already: %s", error)
