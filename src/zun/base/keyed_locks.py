# SPDX-License-Identifier: Apache-2.0
"""One lock for each thing, made when it is needed and forgotten when nobody holds it."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class KeyedLocks(Generic[T]):
    """What is done under the same key is done one after the other, in the order of asking."""

    def __init__(self) -> None:
        self._locks: dict[T, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def holding(self, key: T) -> AsyncIterator[None]:
        """Wait for the key's turn and keep it for the block."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)
