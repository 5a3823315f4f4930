# SPDX-License-Identifier: Apache-2.0
"""HTTP on loopback for those who know the key: one sealed question on each connection, one sealed answer.

Any user of the machine may connect; who does not know the key learns nothing, changes nothing, and is let go after a few seconds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from zun.drivers.network.cni.sealing import Endpoint, is_sealed, new_key, seal
from zun.model.errors import Unavailable

_LOG = logging.getLogger(__name__)

HOST = "127.0.0.1"
READ_SECONDS = 5.0
"""A question has to be complete by then."""

MOST_HEAD_BYTES, MOST_BODY_BYTES = 8192, 1 << 17
MOST_CONNECTIONS = 128
STOP_SECONDS = 10.0

Answer = Callable[[str, bytes], Awaitable[tuple[HTTPStatus, bytes]]]
"""From a path and a body to a status and a body; never raises."""


class _BadRequestError(Exception):
    """What came is no question."""


class Server:
    """Made by `open`, which listens; `close` ends it."""

    def __init__(self, answer: Answer, key: bytes) -> None:
        self._answer = answer
        self._key = key
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, answer: Answer, port: int) -> "tuple[Server, Endpoint]":
        """Listen; returns where. Raises `Unavailable` when the port is taken."""
        server = cls(answer, new_key())
        try:
            server._server = await asyncio.start_server(server._converse, HOST, port, limit=MOST_HEAD_BYTES)
        except OSError as error:
            raise Unavailable(
                f"Port {port} of {HOST} is taken ({error.strerror}); set [cni] port to another one, or to 0."
            ) from error
        return server, Endpoint(HOST, server._server.sockets[0].getsockname()[1], server._key)

    async def close(self) -> None:
        """Take no more questions, and let those in work end."""
        if self._server is not None:
            self._server.close()
        if self._conversations:
            await asyncio.wait(self._conversations, timeout=STOP_SECONDS)
        for conversation in list(self._conversations):
            conversation.cancel()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._conversations) >= MOST_CONNECTIONS:
            writer.close()
            return
        self._conversations.add(task)
        try:
            writer.write(await self._answered(reader))
            async with asyncio.timeout(READ_SECONDS):
                await writer.drain()
        except (OSError, TimeoutError) as error:
            _LOG.debug("an asker went away: %s", error)
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(READ_SECONDS):
                path, headers, body = await _read(reader)
        except (_BadRequestError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _message(HTTPStatus.BAD_REQUEST, b"", "")
        nonce = headers.get("zun-nonce", "")
        if not nonce or not is_sealed(self._key, nonce, path, body, headers.get("zun-seal", "")):
            _LOG.warning("somebody on this machine who does not know the key asked for %s", path)
            return _message(HTTPStatus.UNAUTHORIZED, b"", "")
        status, document = await self._answer(path, body)
        return _message(status, document, seal(self._key, nonce, str(status.value), document))


async def _read(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, _, rest = first.partition(" ")
    path, _, version = rest.partition(" ")
    if method != "POST" or version != "HTTP/1.1":
        raise _BadRequestError
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "-1"))
    if not 0 <= length <= MOST_BODY_BYTES:
        raise _BadRequestError
    return path, headers, await reader.readexactly(length)


def _message(status: HTTPStatus, document: bytes, sealed: str) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(document)}\r\n"
        f"Connection: close\r\nZun-Seal: {sealed}\r\n\r\n"
    )
    return head.encode() + document
