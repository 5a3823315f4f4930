# SPDX-License-Identifier: Apache-2.0
"""A node's live things as an API server reaches them: `NodeLive` over the connection to that node."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc.aio
from google.protobuf.message import Message

from zun.drivers.runtime.base import ByteSession, Tunnel
from zun.drivers.runtime.types import Chunk, ExecRequest, LogQuery, PathStat, Stats, Top
from zun.model.errors import Invalid
from zun.nodestreams import converting, protocol
from zun.nodestreams import messages_pb2 as pb
from zun.nodestreams.addresses import Address
from zun.nodestreams.channels import Channels
from zun.nodestreams.reply import Reply, in_our_words
from zun.nodestreams.session import RemoteSession
from zun.nodestreams.tunnel import RemoteTunnel
from zun.services.nodelive import NodeDescription

M = TypeVar("M", bound=Message)
T = TypeVar("T")
Metadata = Sequence[tuple[str, str]]


class RemoteNode:
    """One node. Errors are the node's own; `Unavailable` when it cannot be reached or is lost, `Timeout` when it takes longer than
    `call_seconds` for a short call."""

    def __init__(
        self,
        node: str,
        address: Address,
        channels: Channels,
        *,
        call_seconds: float,
        metadata: Callable[[], Metadata] = tuple,
    ) -> None:
        self._node = node
        self._address = address
        self._channels = channels
        self._call_seconds = call_seconds
        self._metadata = metadata

    @asynccontextmanager
    async def logs(self, uuid: str, query: LogQuery) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Log output."""
        request = converting.packed(lambda: converting.logs_request(uuid, query))
        async with self._told(protocol.LOGS, request, pb.Output.FromString) as reply:
            await reply.first(lambda _: True)
            yield _Chunks(reply)

    async def exec_create(self, uuid: str, request: ExecRequest) -> str:
        """Prepare a command."""
        message = converting.packed(lambda: converting.exec_request_message(uuid, request))
        return await self._ask(protocol.EXEC_CREATE, message, pb.ExecCreated.FromString, converting.exec_id)

    @asynccontextmanager
    async def exec_start(self, uuid: str, exec_id: str) -> AsyncIterator[ByteSession]:
        """Run a prepared command."""
        async with self._session(pb.SessionOpen(container=uuid, exec_id=exec_id)) as session:
            yield session

    async def exec_resize(self, uuid: str, exec_id: str, *, width: int, height: int) -> None:
        """Size of its terminal."""
        await self._resize(lambda: pb.ResizeRequest(container=uuid, exec_id=exec_id, width=width, height=height))

    @asynccontextmanager
    async def attach(self, uuid: str) -> AsyncIterator[ByteSession]:
        """Talk to the container's process."""
        async with self._session(pb.SessionOpen(container=uuid)) as session:
            yield session

    @asynccontextmanager
    async def port_forward(self, uuid: str, port: int) -> AsyncIterator[Tunnel]:
        """Connect to a port."""
        with self._channels.use(self._node, self._address) as connection:
            call = connection.channel.stream_stream(protocol.method(protocol.PORT_FORWARD))(metadata=self._metadata())
            tunnel = RemoteTunnel(call, self._node, connection)
            async with tunnel.opened(pb.TunnelOpen(container=uuid, port=port)):
                yield tunnel

    async def resize(self, uuid: str, *, width: int, height: int) -> None:
        """Size of the container's terminal."""
        await self._resize(lambda: pb.ResizeRequest(container=uuid, width=width, height=height))

    async def top(self, uuid: str, ps_args: str | None) -> Top:
        """Its processes."""
        request = converting.packed(lambda: pb.TopRequest(container=uuid, ps_args=ps_args))
        return await self._ask(protocol.TOP, request, pb.TopTable.FromString, converting.top)

    async def stats(self, uuid: str) -> Stats:
        """What it uses now."""
        request = converting.packed(lambda: pb.StatsRequest(container=uuid))
        return await self._ask(protocol.STATS, request, pb.StatsSample.FromString, converting.stats)

    @asynccontextmanager
    async def get_archive(self, uuid: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of `path`."""
        request = converting.packed(lambda: pb.ArchiveRequest(container=uuid, path=path))
        async with self._told(protocol.GET_ARCHIVE, request, pb.ArchiveOut.FromString) as reply:
            stat = await reply.first(lambda message: converting.path_stat(message.stat))
            yield stat, _Pieces(reply)

    async def put_archive(self, uuid: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Unpack a tar. What `data` raises comes out as it is, and the node's side ends."""
        first = converting.packed(lambda: pb.ArchiveIn(open=pb.ArchiveRequest(container=uuid, path=path)))
        with self._channels.use(self._node, self._address) as connection:
            call = connection.channel.stream_unary(protocol.method(protocol.PUT_ARCHIVE))(metadata=self._metadata())

            async def answer() -> None:
                with in_our_words(self._node, connection):
                    await call

            tasks = [asyncio.create_task(answer()), asyncio.create_task(_upload(call, first, data))]
            answering, sending = tasks
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    sending.result()
                await answering
            finally:
                call.cancel()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def search_images(self, term: str, *, exact: bool) -> list[dict[str, object]]:
        """Ask the public registry."""
        request = converting.packed(lambda: pb.SearchRequest(term=term, exact=exact))
        return await self._ask(protocol.SEARCH_IMAGES, request, pb.SearchResult.FromString, converting.found_images)

    async def describe(self) -> NodeDescription:
        """Its clock, versions and certificate."""
        request = pb.DescribeRequest().SerializeToString()
        return await self._ask(protocol.DESCRIBE, request, pb.Description.FromString, converting.description)

    async def _resize(self, request: Callable[[], Message]) -> None:
        await self._ask(protocol.RESIZE, converting.packed(request), pb.Done.FromString, lambda _: None)

    async def _ask(self, name: str, request: bytes, kind: Callable[[bytes], M], convert: Callable[[M], T]) -> T:
        """A short call."""
        _check_size(request)
        with self._channels.use(self._node, self._address) as connection, in_our_words(self._node, connection):
            call = connection.channel.unary_unary(protocol.method(name))
            data = await call(request, timeout=self._call_seconds, metadata=self._metadata())
            return convert(converting.parsed(kind, data))

    @asynccontextmanager
    async def _told(self, name: str, request: bytes, kind: Callable[[bytes], M]) -> AsyncIterator[Reply[M]]:
        """A call that is answered by a stream; leaving ends it."""
        _check_size(request)
        with self._channels.use(self._node, self._address) as connection:
            call = connection.channel.unary_stream(protocol.method(name))(request, metadata=self._metadata())
            try:
                yield Reply(call, kind, self._node, connection)
            finally:
                call.cancel()

    @asynccontextmanager
    async def _session(self, what: pb.SessionOpen) -> AsyncIterator[ByteSession]:
        with self._channels.use(self._node, self._address) as connection:
            call = connection.channel.stream_stream(protocol.method(protocol.SESSION))(metadata=self._metadata())
            session = RemoteSession(call, self._node, connection)
            async with session.opened(what):
                yield session


class _Chunks(AsyncIterator[Chunk]):
    """A log's pieces. No generator: one that nobody reads to its end is ended late and somewhere else."""

    def __init__(self, reply: Reply[pb.Output]) -> None:
        self._reply = reply
        self._ready: deque[Chunk] = deque()

    async def __anext__(self) -> Chunk:
        while not self._ready:
            found = await self._reply.next(lambda message: list(converting.chunks(message)))
            if found is None:
                raise StopAsyncIteration
            self._ready.extend(found)
        return self._ready.popleft()


class _Pieces(AsyncIterator[bytes]):
    """An archive's."""

    def __init__(self, reply: Reply[pb.ArchiveOut]) -> None:
        self._reply = reply

    async def __anext__(self) -> bytes:
        found = await self._reply.next(lambda message: message.data)
        if found is None:
            raise StopAsyncIteration
        return found


async def _upload(call: Any, first: bytes, data: AsyncIterator[bytes]) -> None:
    """Send the data. When the node takes no more of it, its answer says why."""
    try:
        await call.write(first)
        async for piece in data:
            for start in range(0, len(piece), protocol.PIECE_BYTES):
                part = piece[start : start + protocol.PIECE_BYTES]
                await call.write(pb.ArchiveIn(data=part).SerializeToString())
        await call.write(pb.ArchiveIn(end=True).SerializeToString())
        await call.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return


def _check_size(request: bytes) -> None:
    if len(request) > protocol.MOST_REQUEST_BYTES:
        raise Invalid(
            f"The request is longer than the {protocol.MOST_REQUEST_BYTES} bytes that a node takes; make it shorter.",
            code="too-large",
            status=413,
        )
