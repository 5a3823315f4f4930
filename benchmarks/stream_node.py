# SPDX-License-Identifier: Apache-2.0
"""A node that makes and takes any number of bytes, in this process or served from one of its own.

python -m benchmarks.stream_node DIRECTORY: serve with the certificates that lie there (without any: in plain words), and print the port.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from zun.base.clock import SystemClock
from zun.drivers.runtime.types import Channel, Chunk, LogQuery, PathStat
from zun.nodestreams.addresses import Address
from zun.nodestreams.credentials import Credentials, TlsFiles
from zun.nodestreams.options import NodeStreamOptions
from zun.nodestreams.security import PlainServer, TlsServer
from zun.nodestreams.server import StreamServer
from zun.services.nodelive_fake import FakeNode
from zun.services.reading_ahead import reading_ahead

NODE = "bench"
PIECES = {"lines": 80, "pieces": 64 * 1024}
"""Sizes of what a log comes in: a line, as an engine tells them one by one, or as much as a pipe gives at once."""


class Mill(FakeNode):
    """Containers are called `<kind>-<bytes>`: a log of so many bytes. A path `/<bytes>` is an archive of that size. `main` says back."""

    @asynccontextmanager
    async def logs(self, uuid: str, query: LogQuery) -> AsyncIterator[AsyncIterator[Chunk]]:  # noqa: ARG002 - the port
        """See the class."""
        kind, size = uuid.split("-")
        async with reading_ahead(_made(PIECES[kind], int(size))) as chunks:  # as an agent does
            yield chunks

    @asynccontextmanager
    async def get_archive(
        self,
        uuid: str,  # noqa: ARG002 - the port
        path: str,
    ) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """See the class."""
        size = int(path[1:])
        yield PathStat(path, size, 0o644, ""), (chunk.data async for chunk in _made(PIECES["pieces"], size))

    async def put_archive(self, uuid: str, path: str, data: AsyncIterator[bytes]) -> None:  # noqa: ARG002 - the port
        """Taken and forgotten."""
        async for _ in data:
            pass


async def _made(piece: int, size: int) -> AsyncIterator[Chunk]:
    data = bytes(piece)
    for number in range(size // piece):
        # A copy, as an engine's client would make one; and a turn for others now and then.
        yield Chunk(Channel.STDOUT, bytes(memoryview(data)))
        if number * piece % (1 << 20) < piece:
            await asyncio.sleep(0)


async def serve(directory: Path) -> None:
    """Until killed."""
    names = ("ca.pem", "node.pem", "node.pem")
    listen = Address("127.0.0.1", 0)
    plain = not (directory / "node.pem").exists()
    tls = TlsFiles(*(directory / name for name in names))
    security = PlainServer(listen) if plain else TlsServer(Credentials(tls, SystemClock()))
    server = StreamServer(NODE, security, NodeStreamOptions())
    address = server.listen(listen)
    await server.serve(Mill())
    print(address.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
