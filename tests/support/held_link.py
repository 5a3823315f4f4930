# SPDX-License-Identifier: Apache-2.0
"""A link to a loopback port that can hold back what is said through it while answers still pass: a request that is in flight for as long
as a test wants.
"""

import asyncio
import threading
from contextlib import suppress

_CHUNK = 65_536
_SECONDS = 10


class HeldLink:
    """A TCP proxy in a thread of its own. `port` is where to connect."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._passes = asyncio.Event()
        self._passes.set()
        self._held = b""
        self._heard = b""
        self._pumps: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="held link", daemon=True)
        self._thread.start()
        listening = asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(_SECONDS)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def hold(self) -> None:
        """From now on what is said does not arrive."""
        self._loop.call_soon_threadsafe(self._passes.clear)

    def release(self) -> None:
        """What was held arrives, and what is said from now on passes."""
        self._loop.call_soon_threadsafe(self._passes.set)

    def held(self) -> bytes:
        """What is held."""
        return self._held

    def heard(self, words: bytes) -> int:
        """How often these words were in what was answered."""
        return self._heard.count(words)

    def close(self) -> None:
        """End all connections and the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        with suppress(asyncio.CancelledError):  # when the link ends
            await asyncio.gather(self._there(reader, far_writer), self._back(far_reader, writer))
        far_writer.close()
        writer.close()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if not self._passes.is_set():
                    self._held += data
                    await self._more_until_released(reader)
                    data, self._held = self._held, b""
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _more_until_released(self, reader: asyncio.StreamReader) -> None:
        """Go on reading, so that what comes in pieces is held whole."""
        released = asyncio.ensure_future(self._passes.wait())
        while not released.done():
            more = asyncio.ensure_future(reader.read(_CHUNK))
            await asyncio.wait({released, more}, return_when=asyncio.FIRST_COMPLETED)
            more.cancel()
            with suppress(asyncio.CancelledError):
                self._held += await more
            if reader.at_eof():
                await released

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                self._heard += data
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _end(self) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
