# SPDX-License-Identifier: Apache-2.0
"""Whether a stream holds up who writes to it: pour, and see where it stands still."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

PIECE = b"x" * 65536
_LOOK_SECONDS = 0.2


async def standstill(count: Callable[[], Awaitable[int]]) -> int:
    """How much it is, once it has begun and becomes no more."""
    before = 0
    while (now := await count()) != before or not now:
        before = now
        await asyncio.sleep(_LOOK_SECONDS)
    return now


class Poured:
    """What was taken until now, in bytes."""

    def __init__(self) -> None:
        self.total = 0

    async def standstill(self) -> int:
        """How much was taken, once no more is."""

        async def count() -> int:
            return self.total

        return await standstill(count)

    async def pour(self, write: Callable[[bytes], Awaitable[Any]]) -> None:
        """Write for as long as pieces are taken."""
        while True:
            await write(PIECE)
            self.total += len(PIECE)


@asynccontextmanager
async def pouring(write: Callable[[bytes], Awaitable[Any]]) -> AsyncIterator[Poured]:
    """Somebody pours while the block runs."""
    poured = Poured()
    task = asyncio.create_task(poured.pour(write))
    try:
        yield poured
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
