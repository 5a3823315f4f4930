# SPDX-License-Identifier: Apache-2.0
"""The store port on etcd: a thin client that keeps the port's promises about deadlines, errors, paging and watches."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from zun.base.clock import Clock
from zun.model.errors import Denied, Internal, Timeout, Unavailable
from zun.store import limits
from zun.store.etcd import messages
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.address import addresses_of
from zun.store.etcd.auth import EtcdAuth
from zun.store.etcd.caller import Caller
from zun.store.etcd.failures import CompactedAway
from zun.store.etcd.health import members_health
from zun.store.etcd.keepalive import KeepAlives
from zun.store.etcd.members import Members
from zun.store.etcd.tls import TlsFiles
from zun.store.etcd.watch import EtcdWatch, nobody_counts
from zun.store.health import MemberHealth
from zun.store.interface import Compacted, Compare, Get, KeyValue, Op, Put, RangeResult, TxnResult, WatchBatch
from zun.store.keyrange import first_key
from zun.store.options import StoreOptions

PAGE_KEYS = 1000
START_SECONDS = 10.0
ANY_KEY = "\x00"
"""What is read to learn the revision, by who may read everything."""


class EtcdStore:
    """The store port on etcd (see `zun.store.interface`). Must be used from the event loop it was connected on."""

    def __init__(
        self, members: Members, clock: Clock, readable_key: str, reconnected: Callable[[], None] = nobody_counts
    ) -> None:
        """Use `connect`."""
        self._reconnected = reconnected
        self._members = members
        self._caller = Caller(members, clock)
        self._keep_alives = KeepAlives(members, clock)
        self._clock = clock
        self._readable_key = readable_key.encode()
        self._watches: set[EtcdWatch] = set()

    @classmethod
    async def connect(
        cls,
        options: StoreOptions,
        clock: Clock,
        *,
        readable_key: str = ANY_KEY,
        wait_seconds: float = START_SECONDS,
        reconnected: Callable[[], None] = nobody_counts,
        rng: random.Random | None = None,
    ) -> "EtcdStore":
        """Connect to the cluster that `options` name.

        `readable_key`: one that this client may read (it need not exist). `wait_seconds`: how long an etcd is waited for that is
        not there. `reconnected` is told of every watch that broke. `rng` chooses the member to begin with.

        Raises `Invalid` (wrong settings or certificate files), `Unavailable` (naming each member and what it said), `Unsupported`
        (too old) or `Denied` (etcd does not know this user, or does not let it read); some 10 seconds after `wait_seconds` at most.
        """
        addresses = addresses_of(options)
        members = Members(addresses, TlsFiles(options, clock) if options.ca_file else None, clock, rng=rng)
        store = cls(members, clock, readable_key, reconnected)
        try:
            await members.start(wait_seconds)
            await store.revision()
        except Denied as error:
            await store.close()
            raise _not_let_in(members.user, options, readable_key) from error
        except BaseException:
            await store.close()
            raise
        return store

    async def health(self) -> tuple[MemberHealth, ...]:
        """How each member of the cluster is."""
        return await members_health(self._members)

    @property
    def user(self) -> str:
        """Who this client is to etcd: the common name of its certificate, "" without one."""
        return self._members.user

    def auth(self) -> EtcdAuth:
        """etcd's users and roles, over the same connections."""
        return EtcdAuth(self._caller)

    def known_revision(self) -> int | None:
        """Unknown: others write too."""
        return None

    async def revision(self) -> int:
        """Asked by a linearizable read. Watches that are behind it are asked for their progress, where etcd can be trusted."""
        revision = await self._ask_revision()
        for watch in list(self._watches):
            await watch.ask_progress(revision)
        return revision

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """The key now, or at a past revision."""
        limits.check_key(key)
        limits.check_range(key, "", 0, revision)
        response = await self._read(pb.RangeRequest(key=key.encode(), revision=revision))
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
            response = await self._read(request)
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
        if not success and not failure:
            # etcd answers a transaction without operations from what one member has, however old; a read makes it ask the others.
            for branch in (request.success, request.failure):
                branch.add(request_range=pb.RangeRequest(key=self._readable_key, limit=1, keys_only=True))
        writing = not all(isinstance(op, Get) for op in (*success, *failure))
        adding = any(isinstance(op, Put) for op in (*success, *failure))
        response = await self._in_time("txn", request, writing=writing, adding=adding)
        reads = messages.reads(response.responses) if success or failure else ()
        return TxnResult(response.succeeded, response.header.revision, reads)

    @asynccontextmanager
    async def watch(self, prefix: str, *, from_revision: int) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        """A watch that reconnects by itself."""
        limits.check_watch(prefix, from_revision)
        watch = EtcdWatch(
            self._members,
            messages.key_range(prefix),
            from_revision,
            self._clock,
            resumed=self._ask_revision,
            reconnected=self._reconnected,
        )
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
        response = await self._caller.call("grant", pb.LeaseGrantRequest(TTL=ttl_seconds), writing=True, adding=True)
        lease: int = response.ID
        return lease

    async def keep_alive(self, lease: int) -> int:
        """Begin the lease's time anew; all leases of this store share one stream."""
        return await self._keep_alives.renew(lease)

    async def revoke(self, lease: int) -> None:
        """End a lease and its keys."""
        await self._caller.call("revoke", pb.LeaseRevokeRequest(ID=lease), writing=True)

    async def compact(self, revision: int) -> None:
        """Forget what was before `revision`, for every client of this etcd."""
        try:
            await self._caller.call("compact", pb.CompactionRequest(revision=revision), writing=True)
        except CompactedAway as error:
            raise Compacted(await self._oldest_revision(messages.key_range(ANY_KEY))) from error

    async def close(self) -> None:
        """End watches, the keep-alive stream and the connections."""
        closed = Unavailable("The store is closed; connect again.")
        self._members.end(closed)
        for watch in list(self._watches):
            await watch.close()
        await self._keep_alives.close()
        await self._members.close(closed)

    async def _ask_revision(self) -> int:
        response = await self._read(pb.RangeRequest(key=self._readable_key, limit=1, keys_only=True))
        revision: int = response.header.revision
        return revision

    async def _read(self, request: pb.RangeRequest) -> Any:
        try:
            return await self._in_time("range", request)
        except CompactedAway as error:
            key_range = request.key, request.range_end
            raise Compacted(await self._oldest_revision(key_range)) from error

    async def _in_time(
        self, name: str, request: pb.RangeRequest | pb.TxnRequest, *, writing: bool = False, adding: bool = False
    ) -> Any:
        """A call whose answer is of a revision not older than what was known before: else history was lost, and all we know is void."""
        known = self._members.newest_revision
        response = await self._caller.call(name, request, writing=writing, adding=adding)
        revision = response.header.revision
        if revision < known:
            lost = _history_lost(revision, known)
            self._members.end(lost)
            raise lost
        self._members.heard_of(revision)
        return response

    async def _oldest_revision(self, key_range: tuple[bytes, bytes]) -> int:
        """The revision up to which etcd was compacted, which it tells only to a watch that comes too late."""
        watch = EtcdWatch(self._members, key_range, 1, self._clock)
        try:
            await watch.open()
            await anext(watch)
        except Compacted as compacted:
            return compacted.compact_revision
        finally:
            await watch.close()
        raise Timeout("etcd compacted its history but does not say to where; list again.")


def _not_let_in(user: str, options: StoreOptions, key: str) -> Denied:
    what = "everything" if key == ANY_KEY else key
    who = f"the user {user!r} (the common name in {options.cert_file})" if user else "a client without certificate"
    return Denied(
        f"etcd at {', '.join(options.endpoints)} does not let {who} read {what}; create this user and its role there."
    )


def _history_lost(revision: int, newest: int) -> Internal:
    return Internal(
        f"etcd went back in time, from revision {newest} to {revision}: it was restored from a backup, or lost data; "
        "restart this process, so that it reads everything again."
    )
