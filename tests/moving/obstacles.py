# SPDX-License-Identifier: Apache-2.0
"""What can come between an agent and the world: a cut cable, and a frozen process."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from zun.base.clock import Clock
from zun.model.errors import Unavailable
from zun.store.interface import Compare, KeyValue, Op, RangeResult, Store, TxnResult, WatchBatch

_PATIENCE_SECONDS = 1.0
"""A call over a cut cable is given up after so long."""


class Cable:
    """A store as one machine reaches it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cut = asyncio.Event()
        self.is_cut = False

    def cut(self) -> None:
        """Nothing goes through from now on, not even what is under way; nobody is told."""
        self.is_cut = True
        self._cut.set()

    def mend(self) -> None:
        """It goes through again."""
        self.is_cut = False
        self._cut = asyncio.Event()

    async def _over(self, call: Callable[[], Awaitable[Any]]) -> Any:
        if not self.is_cut:
            return await call()
        await self._clock.sleep(_PATIENCE_SECONDS)
        raise Unavailable("The store does not answer.")

    async def revision(self) -> int:
        return int(await self._over(self._store.revision))

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        found: KeyValue | None = await self._over(lambda: self._store.get(key, revision=revision))
        return found

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        options = {"start_after": start_after, "limit": limit, "revision": revision, "keys_only": keys_only}
        found: RangeResult = await self._over(lambda: self._store.range(prefix, **options))  # type: ignore[arg-type]
        return found

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        done: TxnResult = await self._over(lambda: self._store.transact(compares, success, failure))
        return done

    @asynccontextmanager
    async def watch(self, prefix: str, *, from_revision: int) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        await self._over(self._store.revision)
        async with self._store.watch(prefix, from_revision=from_revision) as batches:
            yield self._until_cut(batches)

    async def _until_cut(self, batches: AsyncIterator[WatchBatch]) -> AsyncIterator[WatchBatch]:
        cut: asyncio.Future[Any] = asyncio.ensure_future(self._cut.wait())
        coming: asyncio.Future[Any] | None = None
        try:
            while True:
                coming = asyncio.ensure_future(anext(batches))
                await asyncio.wait([coming, cut], return_when=asyncio.FIRST_COMPLETED)
                if cut.done():
                    await self._clock.sleep(_PATIENCE_SECONDS)
                    raise Unavailable("The watch broke.")
                yield coming.result()
        finally:
            for waiting in (cut, coming):
                if waiting is not None and not waiting.done():
                    waiting.cancel()
                    await asyncio.gather(waiting, return_exceptions=True)

    async def grant_lease(self, ttl_seconds: int) -> int:
        return int(await self._over(lambda: self._store.grant_lease(ttl_seconds)))

    async def keep_alive(self, lease: int) -> int:
        return int(await self._over(lambda: self._store.keep_alive(lease)))

    async def revoke(self, lease: int) -> None:
        await self._over(lambda: self._store.revoke(lease))


class Frost:
    """A process that may be frozen: whatever it asks of the outside world waits meanwhile, before it happens or before it hears of it."""

    def __init__(self) -> None:
        self._thawed = asyncio.Event()
        self._thawed.set()

    @property
    def is_frozen(self) -> bool:
        return not self._thawed.is_set()

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    async def passes(self) -> None:
        await self._thawed.wait()

    def around(self, thing: Any) -> Any:
        """The thing as the process sees it."""
        return _Freezing(thing, self)

    def disk(self, run_blocking: Callable[[Callable[[], None]], Awaitable[None]]) -> Any:
        async def freezing(work: Callable[[], None]) -> None:
            await self.passes()
            await run_blocking(work)
            await self.passes()

        return freezing

    def clock(self, clock: Clock) -> "FreezingClock":
        return FreezingClock(clock, self)


class FreezingClock:
    """Time goes on outside; who sleeps in a frozen process is woken when it thaws."""

    def __init__(self, clock: Clock, frost: Frost) -> None:
        self._clock = clock
        self._frost = frost

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._frost.passes()


class _Freezing:
    def __init__(self, thing: Any, frost: Frost) -> None:
        self._thing = thing
        self._frost = frost

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if inspect.iscoroutinefunction(found):

            async def call(*args: Any, **kwargs: Any) -> Any:
                await self._frost.passes()
                result = await found(*args, **kwargs)
                await self._frost.passes()
                return result

            return call
        if name in {"containers", "images", "networks"}:
            return _Freezing(found, self._frost)
        if name in {"events", "inbox"}:
            return lambda *args, **kwargs: self._stream(found(*args, **kwargs))
        return found

    @asynccontextmanager
    async def _stream(self, opened: Any) -> AsyncIterator[AsyncIterator[Any]]:
        await self._frost.passes()
        async with opened as items:
            yield self._each(items)

    async def _each(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            await self._frost.passes()
            yield item
