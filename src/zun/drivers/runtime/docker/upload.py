# SPDX-License-Identifier: Apache-2.0
"""A body that is sent while it is still being made, and given up when it stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zun.model.errors import Timeout, Unavailable, ZunError


class Upload:
    """What a caller gives us to send. Each piece moves the deadline; the caller's own error comes out as it went in."""

    def __init__(self, data: AsyncIterator[bytes], idle_seconds: float) -> None:
        self._data = data
        self._idle_seconds = idle_seconds
        self._deadline: asyncio.Timeout | None = None
        self._failure: ZunError | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body."""
        try:
            async for piece in self._data:
                if self._deadline is not None:
                    self._deadline.reschedule(asyncio.get_running_loop().time() + self._idle_seconds)
                yield piece
        except ZunError as error:
            self._failure = error
            raise

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Around the sending. Raises `Timeout` when nothing moved for too long."""
        try:
            async with asyncio.timeout(self._idle_seconds) as self._deadline:
                yield
        except TimeoutError as error:
            raise Timeout(f"The archive stood still for {self._idle_seconds:g} seconds; send it again.") from error
        except Unavailable:
            if self._failure is not None:
                raise self._failure from None
            raise
