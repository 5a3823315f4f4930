# SPDX-License-Identifier: Apache-2.0
"""A connection that stops being HTTP: the engine upgrades it to a plain two-way byte stream for attach and exec.

Spoken by hand on a connection of its own, because an HTTP client's pool offers no half-close, and end of input must be sent while output still comes.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

import msgspec

from zun.drivers.runtime.docker.demultiplex import Demultiplexer
from zun.drivers.runtime.docker.engine import PIECE, Engine
from zun.drivers.runtime.docker.errors import away, from_engine, translated
from zun.drivers.runtime.types import Chunk
from zun.model.errors import Conflict

_UPGRADED = frozenset({101, 200})
_LONGEST_ERROR = 64 << 10
_FLUSH_SECONDS = 1.0


class HijackedSession:
    """Implements `ByteSession`. `half_close`: whether end of input may close our half of the connection."""

    def __init__(
        self,
        engine: Engine,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        *,
        tty: bool,
        half_close: bool,
        exit_code: Callable[[], Awaitable[int | None]],
    ) -> None:
        self._engine = engine
        self._reader, self._writer = streams
        self._parser = Demultiplexer(tty=tty)
        self._half_close = half_close
        self._exit_code = exit_code
        self._ready: deque[Chunk] = deque()
        self._over = False
        self._input_open = True

    async def read(self) -> Chunk | None:
        """The next piece of output; None at the end."""
        while not self._ready:
            if self._over:
                return None
            try:
                data = await self._reader.read(PIECE)
            except OSError as error:
                self._over = True
                raise away(self._engine.address.url, error) from error
            self._over = not data
            self._ready.extend(self._parser.feed(data))
        return self._ready.popleft()

    async def write(self, data: bytes) -> None:
        """To the process's stdin; waits while it does not read."""
        if self._over or not self._input_open:
            raise Conflict("Its standard input is closed: the process has ended or its end of input was sent already.")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            self._input_open = False
            raise Conflict("Its standard input is closed: the process has ended.") from error

    async def close_stdin(self) -> None:
        """End of input. A container's own input stays open for whoever attaches next."""
        if self._input_open and self._half_close and self._writer.can_write_eof():
            try:
                self._writer.write_eof()
            except OSError:
                self._over = self._over or self._reader.at_eof()  # it ended meanwhile, and reading will tell
        self._input_open = False

    async def exit_code(self) -> int | None:
        """The process's exit code, once `read` has returned None."""
        return await self._exit_code()


async def hijack(
    engine: Engine, path: str, doing: str, *, params: Mapping[str, str] | None = None, body: object = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the request and give the two halves of the upgraded connection. Raises the engine's refusal as our error."""
    async with translated(engine.address.url, doing, engine.options.call_seconds):
        reader, writer = await engine.address.open(PIECE)
        try:
            writer.write(_request(engine.path(path), params, body))
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if status in _UPGRADED:
                return reader, writer
            text = await reader.read(_LONGEST_ERROR)
        except BaseException:
            writer.close()
            raise
        await let_go(writer)
        raise from_engine(status, _message(text), doing)


async def let_go(writer: asyncio.StreamWriter) -> None:
    """Close the connection. What was written goes out first, unless the process does not take it."""
    writer.close()
    try:
        async with asyncio.timeout(_FLUSH_SECONDS):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
        await asyncio.sleep(0)  # the loop's next turn lets go of it
    except OSError:
        return  # the other side was faster


def _request(path: str, params: Mapping[str, str] | None, body: object) -> bytes:
    target = f"{path}?{urlencode(params)}" if params else path
    content = b"" if body is None else msgspec.json.encode(body)
    head = (
        f"POST {target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace")
