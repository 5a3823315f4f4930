# SPDX-License-Identifier: Apache-2.0
"""A store whose calls are timed and counted by how they ended."""

import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from zun.model.errors import Timeout, Unavailable, ZunError
from zun.store.interface import Compacted, Compare, KeyValue, Op, RangeResult, Store, TxnResult, WatchBatch
from zun.telemetry.meter import Meter
from zun.telemetry.metrics import STORE_SECONDS

T = TypeVar("T")


class MeasuredStore:
    """The store port (see `zun.store.interface`) in front of another store."""

    def __init__(self, store: Store, meter: Meter) -> None:
        self._store = store
        self._meter = meter

    @property
    def behind(self) -> Store:
        """The other store."""
        return self._store

    def known_revision(self) -> int | None:
        """As the store says; asking costs nothing worth counting."""
        return self._store.known_revision()

    async def revision(self) -> int:
        """As the store does."""
        return await self._timed("revision", self._store.revision())

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        """As the store does."""
        return await self._timed("get", self._store.get(key, revision=revision))

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        """As the store does."""
        asked = self._store.range(prefix, start_after=start_after, limit=limit, revision=revision, keys_only=keys_only)
        return await self._timed("range", asked)

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """As the store does."""
        return await self._timed("transact", self._store.transact(compares, success, failure))

    def watch(self, prefix: str, *, from_revision: int) -> AbstractAsyncContextManager[AsyncIterator[WatchBatch]]:
        """As the store does."""
        return self._store.watch(prefix, from_revision=from_revision)

    async def grant_lease(self, ttl_seconds: int) -> int:
        """As the store does."""
        return await self._timed("grant_lease", self._store.grant_lease(ttl_seconds))

    async def keep_alive(self, lease: int) -> int:
        """As the store does."""
        return await self._timed("keep_alive", self._store.keep_alive(lease))

    async def revoke(self, lease: int) -> None:
        """As the store does."""
        await self._timed("revoke", self._store.revoke(lease))

    async def compact(self, revision: int) -> None:
        """As the store does."""
        await self._timed("compact", self._store.compact(revision))

    async def close(self) -> None:
        """As the store does."""
        await self._store.close()

    async def _timed(self, call: str, asked: Awaitable[T]) -> T:
        """A cancelled call is not counted: it was ended, and did not end."""
        began = time.perf_counter()
        try:
            answer = await asked
        except (ZunError, Compacted) as error:
            result = next((name for kind, name in _RESULTS.items() if isinstance(error, kind)), "refused")
            self._meter.observe(STORE_SECONDS, time.perf_counter() - began, call, result)
            raise
        self._meter.observe(STORE_SECONDS, time.perf_counter() - began, call, "done")
        return answer


_RESULTS: dict[type[Exception], str] = {Unavailable: "unavailable", Timeout: "timeout"}
