# SPDX-License-Identifier: Apache-2.0
"""The store port on etcd: a thin client that keeps the port's promises about deadlines, errors, paging and watches."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from zun.base.clock import Clock
from zun.model.errors import Timeout, Unavailable
from zun.store import limits
from zun.store.etcd import messages
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.channel import CALL_SECONDS, Calls, ChannelFactory, CompactedAway, insecure_channel, meaning
from zun.store.etcd.watch import EtcdWatch, nobody_counts
from zun.store.interface import Compacted, Compare, KeyValue, Op, RangeResult, TxnResult, WatchBatch
from zun.store.keyrange import first_key
from zun.store.transaction import unknown_lease

PAGE_KEYS = 1000
_TRUE_PROGRESS = ((3, 4, 31), (3, 5, 13), (3, 6, 0))


class EtcdStore:
    """The store port on etcd (see `zun.store.interface`). Must be used from the event loop it was connected on."""

    def __init__(
        self, channel: grpc.aio.Channel, clock: Clock, reconnected: Callable[[], None] = nobody_counts
    ) -> None:
        """Use `connect`."""
        self._reconnected = reconnected
        self._channel = channel
        self._calls = Calls(channel)
        self._clock = clock
        self._watches: set[EtcdWatch] = set()
        self._closed = False
        self._asks_progress = False

    @classmethod
    async def connect(
        cls,
        endpoint: str,
        clock: Clock,
        *,
        channel_factory: ChannelFactory = insecure_channel,
        reconnected: Callable[[], None] = nobody_counts,
    ) -> "EtcdStore":
        """Connect to `host:port`; `Unavailable` or `Timeout` when no etcd answers there. `reconnected` is told of every watch that broke."""
        channel = channel_factory(endpoint)
        store = cls(channel, clock, reconnected)
        try:
            status = await store._call(store._calls.status, pb.StatusRequest())
        except BaseException:
            await channel.close()
            raise
        store._asks_progress = progress_is_true(status.version)
        return store

    def known_revision(self) -> int | None:
        """Unknown: others write too."""
        return None

    async def revision(self) -> int:
        """Asked by a linearizable read. Watches that are behind it are asked for their progress, where etcd can be trusted."""
        response = await self._call(self._calls.range, pb.RangeRequest(key=b"\x00", limit=1, keys_only=True))
        if self._asks_progress:
            for watch in list(self._watches):
                await watch.ask_progress(response.header.revision)
        revision: int = response.header.revision
        return revision

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """The key now, or at a past revision."""
        limits.check_key(key)
        limits.check_range(key, "", 0, revision)
        response = await self._call(self._calls.range, pb.RangeRequest(key=key.encode(), revision=revision))
        return messages.key_value(response.kvs[0]) if response.kvs else None

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        """A page of keys, fetched in smaller pages of one revision."""
        limits.check_range(prefix, start_after, limit, revision)
        begin, end = messages.key_range(prefix)
        begin = first_key(begin, start_after.encode())
        items: list[KeyValue] = []
        more = True
        while more and (not limit or len(items) < limit):
            page = min(PAGE_KEYS, limit - len(items)) if limit else PAGE_KEYS
            request = pb.RangeRequest(key=begin, range_end=end, limit=page, revision=revision, keys_only=keys_only)
            response = await self._call(self._calls.range, request)
            revision = revision or response.header.revision
            items.extend(map(messages.key_value, response.kvs))
            more = response.more
            if more:
                begin = response.kvs[-1].key + b"\x00"
        return RangeResult(revision, tuple(items), more)

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """One transaction of etcd."""
        limits.check_transaction(compares, success, failure)
        request = messages.transaction(compares, success, failure)
        response = await self._call(self._calls.txn, request, writing=True)
        return TxnResult(response.succeeded, response.header.revision, messages.reads(response.responses))

    @asynccontextmanager
    async def watch(self, prefix: str, *, from_revision: int) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        """A watch that reconnects by itself."""
        limits.check_watch(prefix, from_revision)
        self._check_open()
        watch = EtcdWatch(self._calls, prefix, from_revision, self._clock, reconnected=self._reconnected)
        self._watches.add(watch)
        try:
            await watch.open()
            yield watch
        finally:
            self._watches.discard(watch)
            await watch.close()

    async def grant_lease(self, ttl_seconds: int) -> int:
        """A new lease; etcd may make it live a little longer than asked (its least is about two seconds)."""
        limits.check_lease_ttl(ttl_seconds)
        response = await self._call(self._calls.grant, pb.LeaseGrantRequest(TTL=ttl_seconds), writing=True)
        lease: int = response.ID
        return lease

    async def keep_alive(self, lease: int) -> int:
        """Begin the lease's time anew."""
        self._check_open()
        stream = self._calls.keep_alive(timeout=CALL_SECONDS)
        try:
            with self._translated(writing=False):
                await stream.write(pb.LeaseKeepAliveRequest(ID=lease))
                response = await stream.read()
        finally:
            stream.cancel()
        if response is grpc.aio.EOF:
            raise Unavailable("etcd ended the connection; try again.")
        if response.TTL <= 0:
            raise unknown_lease(lease)
        ttl_seconds: int = response.TTL
        return ttl_seconds

    async def revoke(self, lease: int) -> None:
        """End a lease and its keys."""
        await self._call(self._calls.revoke, pb.LeaseRevokeRequest(ID=lease), writing=True)

    async def compact(self, revision: int) -> None:
        """Forget what was before `revision`, for every client of this etcd."""
        await self._call(self._calls.compact, pb.CompactionRequest(revision=revision), writing=True)

    async def close(self) -> None:
        """End watches and the connection."""
        if self._closed:
            return
        self._closed = True
        for watch in list(self._watches):
            await watch.close()
        await self._channel.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The store is closed; connect again.")

    async def _call(self, call: Any, request: Message, *, writing: bool = False) -> Any:
        """One unary call with a deadline, its failure in our words."""
        self._check_open()
        try:
            with self._translated(writing=writing):
                return await call(request, timeout=CALL_SECONDS)
        except CompactedAway as compacted:
            raise Compacted(await self._oldest_revision()) from compacted

    @contextmanager
    def _translated(self, *, writing: bool) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise meaning(error, writing=writing) from error
        except asyncio.InvalidStateError as error:  # the call ended before everything was written
            raise Unavailable("etcd ended the connection; try again.") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                # Not the caller was cancelled but the call, because the channel was closed under it.
                raise Unavailable("The store was closed during the call; connect again.") from None
            raise

    async def _oldest_revision(self) -> int:
        """The revision up to which etcd was compacted, which it tells only to a watch that comes too late."""
        watch = EtcdWatch(self._calls, "\x00", 1, self._clock)
        try:
            await watch.open()
            await anext(watch)
        except Compacted as compacted:
            return compacted.compact_revision
        finally:
            await watch.close()
        raise Timeout("etcd compacted its history but does not say to where; list again.")


def progress_is_true(version: str) -> bool:
    """Whether this etcd answers a request for progress in order with the events: older ones may announce too much."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        return False
    numbers = tuple(int(part) for part in found.groups())
    return any(numbers[:2] == fixed[:2] and numbers >= fixed for fixed in _TRUE_PROGRESS) or numbers >= (3, 7, 0)
