# SPDX-License-Identifier: Apache-2.0
"""`GET /metrics` of a process that serves nothing else: a few lines of HTTP/1.1, bounded in size, time and number."""

import asyncio
from collections.abc import Callable

from zun.base.addresses import address, written
from zun.model.errors import Unavailable

_HEAD_BYTES = 8192
_SECONDS = 10.0
_AT_ONCE = 16


class Exposition:
    """Serves the text that `tell` returns, of the type `content_type`, to whoever asks at `listen`."""

    def __init__(self, listen: str, tell: Callable[[], bytes], content_type: str) -> None:
        self._host, self._port = address(listen)
        self._tell = tell
        self._type = content_type
        self._served = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen; where, as URL. Raises `Unavailable` when the address is taken or not ours."""
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=_HEAD_BYTES)
        except OSError as error:
            raise Unavailable(
                f"Figures cannot be served on {written(self._host, self._port)} ({error.strerror}); "
                "stop what listens there, or set another [metrics] listen."
            ) from error
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{written(host, port)}/metrics"

    async def close(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served += 1
        try:
            if self._served <= _AT_ONCE:
                async with asyncio.timeout(_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head))
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a peer that does not speak HTTP, or left: there is nobody to tell
        finally:
            self._served -= 1
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path != b"/metrics":
            return _response("404 Not Found", "text/plain", b"Figures are at /metrics.\n")
        if method != b"GET":
            return _response("405 Method Not Allowed", "text/plain", b"Use GET.\n", "Allow: GET\r\n")
        return _response("200 OK", self._type, self._tell())


def _response(status: str, content_type: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    return head.encode() + body
