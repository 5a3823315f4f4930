# SPDX-License-Identifier: Apache-2.0
"""The calls that the gate serves: each read, checked, and done through the store port."""

import asyncio
from contextlib import suppress
from typing import Any, Protocol

import grpc.aio

from zun.gate import answers
from zun.gate.leases import Leases
from zun.gate.requests import NotPermitted, Page, Single, Watched
from zun.gate.visitors import Visitor
from zun.model.errors import NotFound, ZunError
from zun.store.etcd import rpc_pb2 as pb
from zun.store.interface import Compacted, Get, KeyValue, RangeResult, Store, WatchBatch

FIRST_MESSAGE_SECONDS = 10.0
PART_KEYS = 50
"""So many keys are fetched at a time; each may have 1.5 MB."""

PAGE_BYTES = 4 * 1024 * 1024
"""A page that has so much has no more, though more was asked for."""

_MAX_LEASE_SECONDS = 86_400


class Stream(Protocol):
    """What is used of a two-way stream."""

    async def read(self) -> Any:
        """The next message, `grpc.aio.EOF` at the end."""

    async def write(self, message: Any) -> None:
        """Send, when the other side takes it."""


class UnknownLease(Exception):
    """The lease has ended, or is somebody else's, which is told in the same words."""


class Calls:
    """Serves nodes. Methods raise `NotPermitted`, `UnknownLease`, `Compacted` and what the store raises."""

    def __init__(self, store: Store, leases: Leases, cluster_id: int) -> None:
        """`cluster_id`: the same at all gates of an installation."""
        self._store = store
        self._leases = leases
        self._cluster_id = cluster_id

    def status(self) -> pb.StatusResponse:
        """What the gate is. Also for whoever is no node: a client that is told so at its first real call understands it better."""
        return answers.status(self._cluster_id)

    async def range(self, visitor: Visitor, request: pb.RangeRequest) -> pb.RangeResponse:
        """Read. A node's reads wait for each other, so that it cannot fill the gate's memory with what it wrote."""
        wanted = visitor.reader.range(request)
        async with visitor.reading:
            return await (self._single(wanted) if isinstance(wanted, Single) else self._page(wanted))

    async def _page(self, wanted: Page) -> pb.RangeResponse:
        """As many keys as were asked for, or as make up `PAGE_BYTES`."""
        # As etcd does, an answer tells the revision of now, also when it is about one of before.
        now = await self._store.revision() if wanted.revision else 0
        items: list[KeyValue] = []
        size, after, revision, more = 0, wanted.start_after, wanted.revision, True
        while more and len(items) < wanted.limit and size < PAGE_BYTES:
            part = await self._store.range(
                wanted.prefix,
                start_after=after,
                limit=min(PART_KEYS, wanted.limit - len(items)),
                revision=revision,
                keys_only=wanted.keys_only,
            )
            items += part.items
            size += sum(len(kv.value) for kv in part.items)
            after, revision, more = (part.items[-1].key if part.items else after), part.revision, part.more
        return answers.page(RangeResult(revision, tuple(items), more), max(now, revision))

    async def _single(self, wanted: Single) -> pb.RangeResponse:
        if not wanted.revision:
            read = await self._store.transact([], [Get(wanted.key)])
            return answers.single(read.reads[0], read.revision)
        now = await self._store.revision()
        return answers.single(await self._store.get(wanted.key, revision=wanted.revision), now)

    async def transact(self, visitor: Visitor, request: pb.TxnRequest) -> pb.TxnResponse:
        """Write, or read several."""
        wanted = visitor.reader.transaction(request)
        for lease in wanted.leases:
            if not await self._leases.belongs(visitor.node, visitor.user, lease):
                raise UnknownLease
        result = await self._store.transact(wanted.compares, wanted.success, wanted.failure)
        return answers.transaction(result, wanted.success, wanted.failure)

    async def grant(self, visitor: Visitor, request: pb.LeaseGrantRequest) -> pb.LeaseGrantResponse:
        """A new lease, which is the node's."""
        if not 1 <= request.TTL <= _MAX_LEASE_SECONDS:
            raise NotPermitted
        lease = await self._store.grant_lease(request.TTL)
        self._leases.granted(visitor.user, lease)
        return pb.LeaseGrantResponse(ID=lease, TTL=request.TTL)

    async def revoke(self, visitor: Visitor, request: pb.LeaseRevokeRequest) -> pb.LeaseRevokeResponse:
        """End one of its leases."""
        if not await self._leases.belongs(visitor.node, visitor.user, request.ID):
            raise UnknownLease
        self._leases.ended(visitor.user, request.ID)
        await self._store.revoke(request.ID)
        return pb.LeaseRevokeResponse()

    async def keep_alive(self, visitor: Visitor, stream: Stream) -> None:
        """Renew its leases as often as it asks, until it hangs up."""
        while (request := await stream.read()) is not grpc.aio.EOF:
            ttl = 0
            if await self._leases.belongs(visitor.node, visitor.user, request.ID):
                with suppress(NotFound):
                    ttl = await self._store.keep_alive(request.ID)
            await stream.write(pb.LeaseKeepAliveResponse(ID=request.ID, TTL=ttl))

    async def watch(self, visitor: Visitor, stream: Stream) -> None:
        """Changes, until the node hangs up. One watch a stream; what else the node writes to it is not read."""
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            first = await stream.read()
        if first is grpc.aio.EOF or first.WhichOneof("request") != "create_request":
            raise NotPermitted
        wanted = visitor.reader.watch(first.create_request)
        try:
            await self._follow(wanted, stream)
        except Compacted as compacted:
            # The first answer says that the watch was made, to whom it has not been said yet; clients do not mind it twice.
            await stream.write(
                pb.WatchResponse(created=True, canceled=True, compact_revision=compacted.compact_revision)
            )

    async def _follow(self, wanted: Watched, stream: Stream) -> None:
        begin = wanted.from_revision or await self._store.revision() + 1
        async with self._store.watch(wanted.prefix, from_revision=begin) as changes:
            await stream.write(pb.WatchResponse(created=True))
            async for batch in changes:
                await stream.write(answers.batch(_only(wanted, batch)))


def _only(wanted: Watched, batch: WatchBatch) -> WatchBatch:
    if not wanted.single:
        return batch
    return WatchBatch(batch.revision, tuple(event for event in batch.events if event.kv.key == wanted.prefix))


ServedError = (ZunError, Compacted)
"""What the store may raise."""
