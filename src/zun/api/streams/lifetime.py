# SPDX-License-Identifier: Apache-2.0
"""How streams end when it is not the stream that ends: the client hangs up, or the service stops."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Lifetime:
    """Of the service. Streams last as long as it does at most, so that stopping need not wait for those who listen."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    def end(self) -> None:
        """All streams end, now and from now on."""
        self._over.set()

    async def bound(self, work: Coroutine[Any, Any, None], *until: Coroutine[Any, Any, None]) -> bool:
        """Run `work` until it is done, one of `until` is, or the service stops; whether it was done. What it raises passes through."""
        task = asyncio.create_task(work)
        others = [asyncio.create_task(each) for each in (*until, self._wait())]
        try:
            await asyncio.wait([task, *others], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return False
            task.result()
            return True
        finally:
            for each in (task, *others):
                each.cancel()
            await asyncio.gather(task, *others, return_exceptions=True)

    async def _wait(self) -> None:
        await self._over.wait()
