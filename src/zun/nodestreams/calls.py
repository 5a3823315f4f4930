# SPDX-License-Identifier: Apache-2.0
"""What each call does at the node: messages in, the port `NodeLive`, messages out. Errors of ours are raised; the server ends the call with them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import grpc.aio
from google.protobuf.message import DecodeError, Message

from zun.drivers.runtime.types import Channel, Chunk
from zun.model.errors import Invalid, Timeout, Unavailable
from zun.nodestreams import converting
from zun.nodestreams import messages_pb2 as pb
from zun.nodestreams.admission import Admission
from zun.nodestreams.carrying import Carrying
from zun.nodestreams.conversation import Conversation
from zun.nodestreams.protocol import MOST_ANSWER_BYTES
from zun.services.nodelive import NodeLive
from zun.services.reading_ahead import BATCH_BYTES, reading_ahead

M = TypeVar("M", bound=Message)
T = TypeVar("T")
Requests = AsyncIterator[bytes]

_OPENING_SECONDS = 10.0
"""So long a client may take to say what it wants."""


class Calls:
    """The calls of one node."""

    def __init__(self, live: NodeLive, admission: Admission) -> None:
        self._live = live
        self._admission = admission

    async def logs(self, request: bytes, context: grpc.aio.ServicerContext) -> None:
        """A log."""
        asked = _read(pb.LogsRequest.FromString, request)
        with self._admission.stream(asked.container):
            async with self._live.logs(asked.container, converting.log_query(asked)) as chunks:
                await context.write(pb.Output().SerializeToString())
                async for chunk in chunks:
                    for piece in _cut(chunk):
                        await context.write(converting.output_message([piece]).SerializeToString())

    async def session(self, requests: Requests, context: grpc.aio.ServicerContext) -> None:
        """A command, or the container's own process."""
        opened = _read(pb.SessionInput.FromString, await _first(requests))
        if opened.WhichOneof("what") != "open":
            raise Invalid("A session begins with what it is to open.")
        asked = opened.open
        with self._admission.stream(asked.container):
            begun = (
                self._live.exec_start(asked.container, asked.exec_id)
                if asked.HasField("exec_id")
                else self._live.attach(asked.container)
            )
            async with begun as session:
                await context.write(pb.Output().SerializeToString())
                await Conversation(session, requests, context.write).run()

    async def port_forward(self, requests: Requests, context: grpc.aio.ServicerContext) -> None:
        """A connection to a port."""
        opened = _read(pb.TunnelIn.FromString, await _first(requests))
        if opened.WhichOneof("what") != "open":
            raise Invalid("A connection begins with where it is to go.")
        asked = opened.open
        with self._admission.stream(asked.container):
            async with self._live.port_forward(asked.container, asked.port) as tunnel:
                await context.write(pb.TunnelOut().SerializeToString())
                await Carrying(tunnel, requests, context.write).run()

    async def get_archive(self, request: bytes, context: grpc.aio.ServicerContext) -> None:
        """Files out."""
        asked = _read(pb.ArchiveRequest.FromString, request)
        with self._admission.stream(asked.container):
            async with self._live.get_archive(asked.container, asked.path) as (stat, data):
                await context.write(pb.ArchiveOut(stat=converting.path_stat_message(stat)).SerializeToString())
                async with reading_ahead(_as_chunks(data)) as outbox:
                    async for chunk in outbox:
                        await context.write(pb.ArchiveOut(data=chunk.data).SerializeToString())

    async def put_archive(self, requests: Requests, _: grpc.aio.ServicerContext) -> bytes:
        """Files in."""
        opened = _read(pb.ArchiveIn.FromString, await _first(requests))
        if opened.WhichOneof("what") != "open":
            raise Invalid("An upload begins with where it is to go.")
        with self._admission.stream(opened.open.container):
            await self._live.put_archive(opened.open.container, opened.open.path, _uploaded(requests))
        return pb.Done().SerializeToString()

    async def exec_create(self, request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        """Prepare a command."""
        asked = _read(pb.ExecCreateRequest.FromString, request)
        exec_id = await self._short(lambda: self._live.exec_create(asked.container, converting.exec_request(asked)))
        return pb.ExecCreated(exec_id=exec_id).SerializeToString()

    async def resize(self, request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        """The size of a terminal."""
        asked = _read(pb.ResizeRequest.FromString, request)
        uuid, size = asked.container, {"width": asked.width, "height": asked.height}
        if asked.HasField("exec_id"):
            await self._short(lambda: self._live.exec_resize(uuid, asked.exec_id, **size))
        else:
            await self._short(lambda: self._live.resize(uuid, **size))
        return pb.Done().SerializeToString()

    async def top(self, request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        """Processes."""
        asked = _read(pb.TopRequest.FromString, request)
        ps_args = asked.ps_args if asked.HasField("ps_args") else None
        return _answer(converting.top_message(await self._short(lambda: self._live.top(asked.container, ps_args))))

    async def stats(self, request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        """Figures."""
        asked = _read(pb.StatsRequest.FromString, request)
        return _answer(converting.stats_message(await self._short(lambda: self._live.stats(asked.container))))

    async def search_images(self, request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        """What the registry has."""
        asked = _read(pb.SearchRequest.FromString, request)
        found = await self._short(lambda: self._live.search_images(asked.term, exact=asked.exact))
        return _answer(converting.found_images_message(found))

    async def describe(self, request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        """The node itself."""
        _read(pb.DescribeRequest.FromString, request)
        return _answer(converting.description_message(await self._short(self._live.describe)))

    async def _short(self, call: Callable[[], Awaitable[T]]) -> T:
        with self._admission.call():
            return await call()


def _read(kind: Callable[[bytes], M], data: bytes) -> M:
    try:
        return kind(data)
    except DecodeError as error:
        raise Invalid(
            "The node was sent what is no message of this call; use the same version on both sides."
        ) from error


async def _first(requests: Requests) -> bytes:
    try:
        async with asyncio.timeout(_OPENING_SECONDS):
            return await anext(requests)
    except TimeoutError as error:
        raise Timeout(f"The client did not say within {_OPENING_SECONDS:.0f} seconds what it wants.") from error
    except StopAsyncIteration as error:
        raise Invalid("The client said nothing.") from error


async def _uploaded(requests: Requests) -> AsyncIterator[bytes]:
    """The data. An upload that breaks off is no shorter upload: raises `Unavailable`."""
    async for request in requests:
        said = _read(pb.ArchiveIn.FromString, request)
        match said.WhichOneof("what"):
            case "data":
                yield said.data
            case "end":
                return
    raise Unavailable("The upload broke off; send it again.")


async def _as_chunks(data: AsyncIterator[bytes]) -> AsyncIterator[Chunk]:
    async for piece in data:
        yield Chunk(Channel.STDOUT, piece)


def _cut(chunk: Chunk) -> list[Chunk]:
    """In pieces that a message may hold."""
    if len(chunk.data) <= BATCH_BYTES:
        return [chunk]
    starts = range(0, len(chunk.data), BATCH_BYTES)
    return [Chunk(chunk.channel, chunk.data[start : start + BATCH_BYTES]) for start in starts]


def _answer(message: Message) -> bytes:
    packed = message.SerializeToString()
    if len(packed) > MOST_ANSWER_BYTES:
        raise Invalid(
            f"The answer is longer than the {MOST_ANSWER_BYTES} bytes that a node may say at once; ask for less.",
            code="too-large",
            status=413,
        )
    return packed
