# SPDX-License-Identifier: Apache-2.0
"""NodeLink over a store: how an agent speaks to the control plane where both reach the same store.

Reads `in/<node>/` and `blob/<node>/`, writes `v/out/<node>/`, touches nothing else, so that a node's own role in etcd suffices.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

import msgspec

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Internal, Timeout, Unavailable
from zun.model.records import ImageObservation, ImageWish, Inbox, NodeInfo, Observation
from zun.store import codec, keys
from zun.store.interface import (
    MAX_REQUEST_BYTES,
    MAX_TXN_OPS,
    Compacted,
    Delete,
    DeletePrefix,
    KeyValue,
    Op,
    Put,
    Store,
)
from zun.store.nodelink import DropResult, Forget, InboxBatch, Remembered, Report, ResultReport, StoreMark
from zun.store.nodelink_lease import NodeLease
from zun.store.schema import StoreSchema

T = TypeVar("T", bound=msgspec.Struct)
_log = logging.getLogger(__name__)

PAGE_KEYS = 500
"""So many records are read at a time; an inbox or a history may be large."""

_OP_OVERHEAD = 64
_TRANSACTION_BYTES = MAX_REQUEST_BYTES - 64 * 1024


class StoreNodeLink:
    """One node's link (see `zun.store.nodelink`). `lease_ttl_seconds`: how long the node counts as alive without a heartbeat."""

    def __init__(
        self,
        store: Store,
        node: str,
        clock: Clock,
        *,
        lease_ttl_seconds: int = 10,
        boot_id: str = "",
        retry: Backoff | None = None,
    ) -> None:
        self._store = store
        self._node = node
        self._clock = clock
        self._retry = retry or Backoff()
        self._lease = NodeLease(store, node, clock, ttl_seconds=lease_ttl_seconds, boot_id=boot_id)

    @property
    def node(self) -> str:
        """This node's name."""
        return self._node

    async def store(self) -> StoreMark:
        """Which store it is."""
        revision = await self._store.revision()
        found = await self._store.get(keys.SCHEMA)
        return StoreMark(codec.decode(StoreSchema, found.value).id if found is not None else "", revision)

    async def remembered(self) -> Remembered:
        """What this node wrote before."""
        observations = {
            observation.uuid: observation
            for kv in await self._list(keys.observation(self._node, ""))
            if (observation := _readable(Observation, kv)) is not None
        }
        images = {
            image.uuid: image
            for kv in await self._list(keys.image_observation(self._node, ""))
            if (image := _readable(ImageObservation, kv)) is not None
        }
        results: dict[str, list[str]] = {}
        prefix = f"{keys.node_prefix(self._node)}e/"
        for kv in sorted(await self._list(prefix, keys_only=True), key=lambda kv: kv.create_revision):
            uuid, _, request_id = kv.key.removeprefix(prefix).partition("/")
            results.setdefault(uuid, []).append(request_id)
        stored = await self._store.get(keys.node_info(self._node))
        info = _readable(NodeInfo, stored) if stored is not None else None
        return Remembered(observations, images, results, info)

    async def publish(self, info: NodeInfo) -> int:
        """Write the node's account of itself."""
        return (await self._store.transact([], [Put(keys.node_info(self._node), codec.encode(info))])).revision

    async def heartbeat(self) -> int:
        """Renew the lease and see that the node counts as alive, or take a new one."""
        return await self._lease.renew()

    @asynccontextmanager
    async def inbox(self) -> AsyncIterator[AsyncIterator[InboxBatch]]:
        """The inbox: a snapshot, then changes. A lost watch is resumed; what was compacted meanwhile is read anew."""
        async with aclosing(self._batches()) as batches:
            yield batches

    async def report(self, reports: Sequence[Report]) -> None:
        """Write reports in order; neighbours share a transaction as far as its limits allow."""
        transaction = _Transaction()
        for report in reports:
            ops = self._ops(report)
            if not transaction.takes(ops, report.uuid):
                await self._store.transact([], transaction.ops)
                transaction = _Transaction()
            transaction.add(ops, report.uuid)
        if transaction.ops:
            await self._store.transact([], transaction.ops)

    async def fetch_blobs(self, uuid: str) -> dict[int, bytes]:
        """The sealed files and secrets of a container, by number."""
        prefix = keys.blobs(self._node, uuid)
        return {int(kv.key.removeprefix(prefix)): kv.value for kv in await self._list(prefix)}

    async def announce_restart(self, grace_seconds: int) -> None:
        """Count as alive for a while without heartbeats."""
        await self._lease.announce_restart(grace_seconds)

    async def close(self) -> None:
        """Give the lease back, if the store is there to take it."""
        await self._lease.give_back()

    async def _batches(self) -> AsyncGenerator[InboxBatch, None]:
        revision, snapshot = await self._snapshot()
        yield snapshot
        failures = 0
        while True:
            try:
                async with self._store.watch(keys.inbox_prefix(self._node), from_revision=revision + 1) as changes:
                    async for batch in changes:
                        failures = 0
                        if batch.events:
                            yield self._batch(
                                [(event.kv, event.deleted) for event in batch.events], batch.revision, snapshot=False
                            )
                        revision = batch.revision
            except Compacted:
                revision, snapshot = await self._patient_snapshot()
                yield snapshot
            except (Unavailable, Timeout) as error:
                _log.warning("watching the inbox of node %s: %s", self._node, error)
                await self._clock.sleep(self._retry.delay(failures))
                failures += 1

    async def _patient_snapshot(self) -> tuple[int, InboxBatch]:
        """A snapshot, however long the store is away."""
        failures = 0
        while True:
            try:
                return await self._snapshot()
            except (Unavailable, Timeout) as error:
                _log.warning("reading the inbox of node %s: %s", self._node, error)
            await self._clock.sleep(self._retry.delay(failures))
            failures += 1

    async def _snapshot(self) -> tuple[int, InboxBatch]:
        while True:
            revision = await self._store.revision()
            try:
                found = await self._list(keys.inbox_prefix(self._node), revision=revision)
            except Compacted:
                continue
            return revision, self._batch([(kv, False) for kv in found], revision, snapshot=True)

    def _batch(self, changes: Iterable[tuple[KeyValue, bool]], revision: int, *, snapshot: bool) -> InboxBatch:
        containers: dict[str, Inbox | None] = {}
        images: dict[str, ImageWish | None] = {}
        damaged: set[str] = set()
        container_prefix, image_prefix = keys.inbox(self._node, ""), keys.image_inbox(self._node, "")
        for kv, deleted in changes:
            uuid = kv.key.rpartition("/")[2]
            if kv.key.startswith(container_prefix):
                inbox = None if deleted else _readable(Inbox, kv)
                containers[uuid] = inbox
            elif kv.key.startswith(image_prefix):
                images[uuid] = None if deleted else _readable(ImageWish, kv)
            else:  # the node's certificate, which `zun.store.nodecertificates` is about
                continue
            damaged.discard(uuid)
            if not deleted and containers.get(uuid) is None and images.get(uuid) is None:
                damaged.add(uuid)
        for uuid in damaged:
            containers.pop(uuid, None)
            images.pop(uuid, None)
        return InboxBatch(snapshot, containers, images, frozenset(damaged), revision)

    async def _list(self, prefix: str, *, revision: int = 0, keys_only: bool = False) -> list[KeyValue]:
        found: list[KeyValue] = []
        after, more = "", True
        while more:
            page = await self._store.range(
                prefix, start_after=after, limit=PAGE_KEYS, revision=revision, keys_only=keys_only
            )
            found += page.items
            more = page.more
            after = page.items[-1].key if page.items else ""
        return found

    def _ops(self, report: Report) -> list[Op]:
        match report:
            case Observation():
                return [Put(keys.observation(self._node, report.uuid), codec.encode(report))]
            case ImageObservation():
                return [Put(keys.image_observation(self._node, report.uuid), codec.encode(report))]
            case ResultReport():
                key = keys.action_result(self._node, report.uuid, report.result.request_id)
                return [Put(key, codec.encode(report.result))]
            case DropResult():
                return [Delete(keys.action_result(self._node, report.uuid, report.request_id))]
            case Forget():
                return [
                    Delete(keys.observation(self._node, report.uuid)),
                    DeletePrefix(keys.action_results(self._node, report.uuid)),
                    Delete(keys.image_observation(self._node, report.uuid)),
                ]


class _Transaction:
    """Reports that may go together: within the limits, no key twice, nothing of a container beside its being forgotten."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._size = 0
        self._keys: set[str] = set()
        self._uuids: set[str] = set()
        self._forgotten: set[str] = set()

    def takes(self, ops: list[Op], uuid: str) -> bool:
        """Whether the writes of a report about `uuid` fit in."""
        if not self.ops:
            return True
        if len(self.ops) + len(ops) > MAX_TXN_OPS or self._size + sum(map(_size, ops)) > _TRANSACTION_BYTES:
            return False
        if uuid in self._forgotten or (_forgets(ops) and uuid in self._uuids):
            return False
        return not any(_key(op) in self._keys for op in ops)

    def add(self, ops: list[Op], uuid: str) -> None:
        """Take them in."""
        self.ops += ops
        self._size += sum(map(_size, ops))
        self._keys |= {_key(op) for op in ops}
        self._uuids.add(uuid)
        if _forgets(ops):
            self._forgotten.add(uuid)


def _forgets(ops: list[Op]) -> bool:
    return any(isinstance(op, DeletePrefix) for op in ops)


def _key(op: Op) -> str:
    return op.prefix if isinstance(op, DeletePrefix) else op.key


def _size(op: Op) -> int:
    return _OP_OVERHEAD + 2 * len(_key(op)) + (len(op.value) if isinstance(op, Put) else 0)


def _readable(kind: type[T], kv: KeyValue) -> T | None:
    """The record, or None (and an error in the log) when it is damaged: one bad record must not stop a node."""
    try:
        return codec.decode(kind, kv.value)
    except Internal as error:
        _log.error("%s (key %s)", error, kv.key)
        return None
