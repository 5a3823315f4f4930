# SPDX-License-Identifier: Apache-2.0
"""One leader for a role, chosen by who writes the role's key first; a lease gives the key back when its holder is gone.

Leading is only an opinion: between losing the key and learning of it a process may still act. So every transaction of
a leader includes `Leadership.compare()`, and one that lost writes nothing.
"""

import asyncio
from contextlib import suppress
from types import TracebackType

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import NotFound, Timeout, Unavailable
from zun.store import keys
from zun.store.interface import Compacted, Compare, CompareField, Put, Store, absent

RENEWALS_PER_TTL = 3


class Leadership:
    """The role is held until `lost`. Leave the context (or `resign`) to give it back at once."""

    def __init__(
        self, store: Store, key: str, lease: int, revision: int, *, ttl_seconds: int, held_until: float, clock: Clock
    ) -> None:
        """Made by `Election.campaign`: the key was created at `revision`, its lease ends at `held_until` (monotonic)."""
        self.revision = revision
        self._store = store
        self._key = key
        self._lease = lease
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._deadline = held_until
        self._lost = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._renew(), name=f"leader-renew {key}"),
            asyncio.create_task(self._watch_deadline(), name=f"leader-deadline {key}"),
        ]

    def compare(self) -> Compare:
        """The condition that this very leadership still holds; belongs into each of the leader's transactions."""
        return Compare(self._key, CompareField.CREATE_REVISION, self.revision)

    def is_lost(self) -> bool:
        """Whether it is known to be over."""
        return self._lost.is_set()

    async def lost(self) -> None:
        """Wait until the leadership is over: the key is gone, or could not be renewed in time."""
        await self._lost.wait()

    async def resign(self) -> None:
        """Give the role back; when the store is away, its lease does so later."""
        self._lost.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(NotFound, Unavailable, Timeout):
            await self._store.revoke(self._lease)

    async def __aenter__(self) -> "Leadership":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.resign()

    async def _renew(self) -> None:
        """Renew the lease and look whether the key is still ours, until it is not."""
        while not self.is_lost():
            await self._clock.sleep(self._ttl_seconds / RENEWALS_PER_TTL)
            asked = self._clock.monotonic()
            try:
                await self._store.keep_alive(self._lease)
                found = await self._store.get(self._key)
            except (Unavailable, Timeout):
                continue  # tried again at the next turn; the deadline decides when it was too often
            except NotFound:
                self._lost.set()
                return
            if found is None or found.create_revision != self.revision:
                self._lost.set()
            self._deadline = max(self._deadline, asked + self._ttl_seconds)

    async def _watch_deadline(self) -> None:
        """A renewal may hang; the lease does not wait for it."""
        while (left := self._deadline - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        self._lost.set()


class Election:
    """A standing candidacy of `identity` for `role`."""

    def __init__(
        self,
        store: Store,
        role: str,
        identity: str,
        ttl_seconds: int,
        clock: Clock,
        *,
        retry: Backoff | None = None,
    ) -> None:
        self._store = store
        self._key = keys.leader(role)
        self._identity = identity
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._retry = retry or Backoff()

    async def campaign(self) -> Leadership:
        """Wait for the role as long as it takes, through outages of the store; then hold it."""
        failures = 0
        while True:
            try:
                await self._wait_until_free()
                leadership = await self._claim()
                failures = 0
            except (Unavailable, Timeout, NotFound, Compacted):
                await self._clock.sleep(self._retry.delay(failures))
                failures += 1
                continue
            if leadership is not None:
                return leadership

    async def _claim(self) -> Leadership | None:
        """Write the key if nobody has; None: somebody was faster."""
        asked = self._clock.monotonic()
        lease = await self._store.grant_lease(self._ttl_seconds)
        held = False
        try:
            claim = Put(self._key, self._identity.encode(), lease)
            result = await self._store.transact([absent(self._key)], [claim])
            held = result.succeeded
        finally:
            if not held:  # also when it is in doubt whether the key was written: it goes with its lease
                with suppress(NotFound, Unavailable, Timeout):
                    await self._store.revoke(lease)
        if not held:
            return None
        return Leadership(
            self._store,
            self._key,
            lease,
            result.revision,
            ttl_seconds=self._ttl_seconds,
            held_until=asked + self._ttl_seconds,
            clock=self._clock,
        )

    async def _wait_until_free(self) -> None:
        """Return when nobody holds the role."""
        start = await self._store.revision() + 1
        async with self._store.watch(self._key, from_revision=start) as changes:
            if await self._store.get(self._key) is None:
                return
            async for batch in changes:
                if any(event.deleted and event.kv.key == self._key for event in batch.events):
                    return
