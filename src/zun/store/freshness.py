# SPDX-License-Identifier: Apache-2.0
"""One linearizable read of the store's revision for everybody who waits at that moment.

A read that is under way does not serve who comes later: it may have been answered before what the newcomer knows of was
written. So newcomers share the next one.
"""

import asyncio

from zun.base.clock import Clock
from zun.model.errors import Timeout, Unavailable
from zun.store.interface import Store

READ_TIMEOUT_SECONDS = 2.0
PROBE_PAUSE_SECONDS = 1.0
UNASKED_SECONDS = 5.0
"""When nobody has asked for so long, the view asks for its own sake: that the store is away is to be known before somebody comes."""

AWAY_SECONDS = 5.0
"""A store that has not answered for so long, though it was asked, is away; before that it may be slow, or this process busy."""


class SharedRevision:
    """Asks the store for its revision, one question at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._next: asyncio.Future[int] | None = None
        self._wanted = asyncio.Event()
        self.answered_at = clock.monotonic()

    async def run(self) -> None:
        """Answer until cancelled. `get` needs it running."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            asked, self._next = self._next, None
            if asked is None:
                continue
            try:
                revision = await self._ask()
            except (Unavailable, Timeout) as error:
                if not asked.done():
                    asked.set_exception(error)
                    asked.exception()  # nobody may be left to look at it
                continue
            except asyncio.CancelledError:
                asked.cancel()
                raise
            if not asked.done():
                asked.set_result(revision)

    async def get(self) -> int:
        """A revision not older than anything acknowledged before the call. Raises `Unavailable` or `Timeout`."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            self._wanted.set()
        return await asyncio.shield(self._next)

    async def _ask(self) -> int:
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                revision = await self._store.revision()
        except TimeoutError as error:
            raise Timeout("The store does not answer; try again.") from error
        self.answered_at = self._clock.monotonic()
        return revision
