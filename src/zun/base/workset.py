# SPDX-License-Identifier: Apache-2.0
"""Things to look at, each once however often it was named: what a level-triggered loop works through."""

import asyncio
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Workset(Generic[T]):
    """First named, first taken. Adding never blocks; one task takes."""

    def __init__(self) -> None:
        self._waiting: dict[T, None] = {}
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, item: T) -> None:
        """Name a thing; if it waits already it keeps its turn."""
        self._waiting.setdefault(item)
        self._some.set()

    def update(self, items: Iterable[T]) -> None:
        """Name several."""
        for item in items:
            self.add(item)

    async def take(self, at_most: int) -> list[T]:
        """The next things, at least one; waits until there is one."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        taken: list[T] = []
        while self._waiting and len(taken) < at_most:
            item = next(iter(self._waiting))
            del self._waiting[item]
            taken.append(item)
        return taken
