# SPDX-License-Identifier: Apache-2.0
"""A node's sign of life in the store, and how the node itself knows that it is there (docs/decisions/0028-who-may-run-what-and-when.md).

A renewal that was answered proves nothing: an etcd leader that is stuck and was replaced goes on answering. What proves it is a linearizable
read of the key, made after the renewal.
"""

from contextlib import suppress

from zun.base.clock import Clock
from zun.model.errors import NotFound, Timeout, Unavailable
from zun.model.moving import AliveRecord
from zun.store import codec, keys
from zun.store.interface import Put, Store


class NodeLease:
    """The lease of one node with its key. `ttl_seconds`: how long the node counts as alive without a heartbeat."""

    def __init__(self, store: Store, node: str, clock: Clock, *, ttl_seconds: int, boot_id: str = "") -> None:
        self._store = store
        self._node = node
        self._clock = clock
        self._ttl = ttl_seconds
        self._boot_id = boot_id
        self._lease = 0
        self._revision = 0

    async def renew(self) -> int:
        """Renew it; 0 when the key was there all the time, else the revision at which it was written anew. Raises `Unavailable`, `Timeout`."""
        if self._lease and await self._is_unbroken():
            return 0
        return await self._take(self._ttl, AliveRecord(self._boot_id, self._clock.now()))

    async def announce_restart(self, grace_seconds: int) -> None:
        """Count as alive for so long without heartbeats: the agent restarts. Raises `Unavailable`, `Timeout`."""
        now = self._clock.now()
        await self._take(grace_seconds, AliveRecord(self._boot_id, now, restarting=True, until=now + grace_seconds))
        self._lease = 0

    async def give_back(self) -> None:
        """The node stops for good; when the store is away, the lease ends by itself."""
        lease, self._lease = self._lease, 0
        if lease:
            with suppress(NotFound, Unavailable, Timeout):
                await self._store.revoke(lease)

    async def _is_unbroken(self) -> bool:
        try:
            await self._store.keep_alive(self._lease)
        except NotFound:
            return False
        found = await self._store.get(keys.node_alive(self._node))
        return found is not None and found.mod_revision == self._revision

    async def _take(self, ttl_seconds: int, record: AliveRecord) -> int:
        former, self._lease = self._lease, 0
        lease = await self._store.grant_lease(ttl_seconds)
        value = codec.encode(record)
        writes = [Put(keys.node_alive(self._node), value, lease), Put(keys.node_life(self._node), value)]
        written = await self._store.transact([], writes)
        self._lease, self._revision = lease, written.revision
        if former:
            with suppress(NotFound, Unavailable, Timeout):
                await self._store.revoke(former)
        return written.revision
