# SPDX-License-Identifier: Apache-2.0
"""A node's stream server in a process of its own, that can be measured, frozen and killed. Containers are whatever they are called."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from support.stream_pair import LOOPBACK, QUICK
from zun.drivers.runtime.types import Channel, Chunk, LogQuery, PathStat, Stats
from zun.nodestreams.addresses import Address
from zun.nodestreams.security import PlainServer
from zun.nodestreams.server import StreamServer
from zun.services.nodelive_fake import FakeNode
from zun.services.reading_ahead import reading_ahead

MIB = 1 << 20
PIECE = bytes(range(256)) * 256  # 64 KiB
LINE = b"0123456789012345678901234567890123456789012345678901234567890123456789012345678\n"


class Mill(FakeNode):
    """A node that makes and takes any number of bytes; `stats` tells how many so far.

    A path or container `<n>` gives n MiB, and so does its every port; a log of `lines-<n>` gives them as lines of 80 bytes. Port 9 takes
    bytes and says nothing, port 1 neither.
    """

    def __init__(self) -> None:
        super().__init__()
        self.follow = defaultdict(asyncio.Queue)  # a log that is followed says nothing more, and does not end
        self.made = self.taken = 0
        self.digest = ""

    @asynccontextmanager
    async def logs(self, uuid: str, query: LogQuery) -> AsyncIterator[AsyncIterator[Chunk]]:
        if not uuid.startswith(("lines-", "pieces-")):
            async with super().logs(uuid, query) as chunks:
                yield chunks
            return
        kind, mib = uuid.split("-")
        chunk = Chunk(Channel.STDOUT, LINE if kind == "lines" else PIECE)
        async with reading_ahead(self._chunks(chunk, int(mib) * MIB)) as chunks:  # as an agent does
            yield chunks

    @asynccontextmanager
    async def get_archive(self, uuid: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        size = int(path.strip("/")) * MIB
        chunks = self._chunks(Chunk(Channel.STDOUT, PIECE), size)
        yield PathStat(path, size, 0o644, ""), (chunk.data async for chunk in chunks)

    async def put_archive(self, uuid: str, path: str, data: AsyncIterator[bytes]) -> None:
        digest = hashlib.sha256()
        async for piece in data:
            digest.update(piece)
            self.taken += len(piece)
        self.digest = digest.hexdigest()

    @asynccontextmanager
    async def port_forward(self, uuid: str, port: int) -> AsyncIterator["MillTunnel"]:
        self.open_sessions += 1
        try:
            yield MillTunnel(self, port, self._chunks(Chunk(Channel.STDOUT, PIECE), int(uuid) * MIB))
        finally:
            self.open_sessions -= 1

    async def stats(self, uuid: str) -> Stats:
        return Stats(0.0, self.made, self.taken, self.open_sessions, 0, 0, 0)

    async def _chunks(self, chunk: Chunk, size: int) -> AsyncIterator[Chunk]:
        for _ in range(size // len(chunk.data)):
            self.made += len(chunk.data)
            yield chunk
            if self.made % MIB < len(chunk.data):
                await asyncio.sleep(0)


class MillTunnel:
    """A connection to a port of the mill."""

    def __init__(self, mill: Mill, port: int, chunks: AsyncIterator[Chunk]) -> None:
        self._mill = mill
        self._port = port
        self._chunks = chunks
        self._ended = asyncio.Event()

    async def read(self) -> bytes | None:
        if self._port in (1, 9):
            await self._ended.wait()
            return None
        return (await anext(self._chunks, Chunk(Channel.STDOUT, b""))).data or None

    async def write(self, data: bytes) -> None:
        if self._port == 1:
            await asyncio.get_running_loop().create_future()
        self._mill.taken += len(data)

    async def end(self) -> None:
        self._ended.set()


class NodeProcess:
    """The process, as a test sees it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        assert process.stdout is not None
        self.address = Address("127.0.0.1", int(process.stdout.readline()))

    @property
    def pid(self) -> int:
        return self._process.pid

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=60)


@contextmanager
def node_process() -> Iterator[NodeProcess]:
    """A `Mill` that serves, in plain words."""
    paths = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-m", "support.stream_process"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths}) as process:
        try:
            yield NodeProcess(process)
        finally:
            process.kill()


class Memory:
    """What a process takes on top of what it took when this was made, and the most since then."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        (self._proc / "clear_refs").write_text("5")
        self._before = self._status("VmRSS")

    def grown(self) -> int:
        """The most, in bytes."""
        return self._status("VmHWM") - self._before

    def _status(self, name: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


async def _serve() -> None:
    server = StreamServer("n1", PlainServer(LOOPBACK), QUICK)
    address = server.listen(LOOPBACK)
    await server.serve(Mill())
    print(address.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
