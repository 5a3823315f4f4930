# SPDX-License-Identifier: Apache-2.0
"""The clockwork behind leases of the embedded stores: who is due, and one task that ends them.

Only deadlines live here; which keys a lease holds is the store's matter, told through `end`.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import NotFound, Timeout, Unavailable
from zun.store.transaction import unknown_lease


def new_lease_id() -> int:
    """A random positive id that fits a signed 64-bit number."""
    return secrets.randbits(62) + 1


class LeaseClock:
    """Deadlines of leases. `end(lease)` must delete the lease and its keys durably; it is called once a lease is due.

    `end` may raise `NotFound` (somebody revoked it meanwhile: fine) or `Unavailable`/`Timeout` (tried again).
    """

    def __init__(self, clock: Clock, end: Callable[[int], Awaitable[None]], *, retry: Backoff | None = None) -> None:
        self._clock = clock
        self._end = end
        self._retry = retry or Backoff()
        self._ttl: dict[int, int] = {}
        self._deadline: dict[int, float] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def add(self, lease: int, ttl_seconds: int) -> None:
        """Begin the time of a lease; must be called on the event loop."""
        self._ttl[lease] = ttl_seconds
        self._deadline[lease] = self._clock.monotonic() + ttl_seconds
        self._tasks[lease] = asyncio.get_running_loop().create_task(self._outlive(lease), name=f"lease-{lease:x}")

    def renew(self, lease: int) -> int:
        """Begin the time of a lease anew; returns its TTL. Raises `NotFound` when it is over."""
        if lease not in self._deadline or self._deadline[lease] <= self._clock.monotonic():
            raise unknown_lease(lease)
        self._deadline[lease] = self._clock.monotonic() + self._ttl[lease]
        return self._ttl[lease]

    def forget(self, lease: int) -> None:
        """The lease was ended."""
        self._ttl.pop(lease, None)
        self._deadline.pop(lease, None)
        task = self._tasks.pop(lease, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def close(self) -> None:
        """Stop; leases that are due stay as they are."""
        tasks = list(self._tasks.values())
        for lease in list(self._tasks):
            self.forget(lease)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _outlive(self, lease: int) -> None:
        """Wait until nobody renewed the lease in time, then end it."""
        failures = 0
        while True:
            while (left := self._deadline[lease] - self._clock.monotonic()) > 0:
                await self._clock.sleep(left)
            try:
                with suppress(NotFound):
                    await self._end(lease)
                self.forget(lease)
                return
            except (Unavailable, Timeout):
                await self._clock.sleep(self._retry.delay(failures))
                failures += 1
