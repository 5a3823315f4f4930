# SPDX-License-Identifier: Apache-2.0
"""Read, decide, write if nothing changed meanwhile, else again: the one way a service changes a record in the store."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Precondition
from zun.store import codec
from zun.store.interface import Compare, Op, Put, Store, unchanged
from zun.store.view import View

T = TypeVar("T")

ATTEMPTS = Backoff(first_seconds=0.005, cap_seconds=0.1, attempts=7)
"""Eight tries within about half a second; who loses that often is told to come again."""


class Write(msgspec.Struct, Generic[T], frozen=True):
    """What a caller decided from the view: the conditions it rests on, the writes, and what to give back once they hold.

    Without writes nothing is asked of the store.
    """

    result: T
    compares: Sequence[Compare]
    ops: Sequence[Op]


R = TypeVar("R", bound=msgspec.Struct)


class Current(msgspec.Struct, Generic[R], frozen=True):
    """A record as it stands in the store; `revision` 0 and no bytes when it is absent."""

    key: str
    record: R | None
    revision: int = 0
    raw: bytes | None = None

    def unchanged(self) -> Compare:
        """The condition that nobody wrote it since."""
        return unchanged(self.key, self.revision)

    def put(self, record: R) -> Put:
        """Replace it, keeping members that a newer process wrote."""
        return Put(self.key, codec.encode(record, over=self.raw))


class OptimisticWriter:
    """Writes decisions that rest on what was read."""

    def __init__(self, store: Store, view: View, clock: Clock, backoff: Backoff = ATTEMPTS) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._backoff = backoff

    async def current(self, kind: type[R], key: str) -> Current[R]:
        """The record `key` as the store has it now."""
        found = await self._store.get(key)
        if found is None:
            return Current(key, None)
        return Current(key, codec.decode(kind, found.value), found.mod_revision, found.value)

    async def write(self, what: str, decide: Callable[[], Awaitable[Write[T]]]) -> T:
        """Let `decide` read (the view is fresh then) and write what it wants; again when something it compared had changed.

        When it returns, the view shows the write. `what` names the thing in the error. What `decide` raises passes through.
        Raises `Precondition` when others were always faster, `Unavailable` with the store away.
        """
        delays = self._backoff.delays()
        while True:
            await self._view.trusted()
            wanted = await decide()
            if not wanted.ops:
                return wanted.result
            outcome = await self._store.transact(wanted.compares, wanted.ops)
            if outcome.succeeded:
                await self._view.at_least(outcome.revision)
                return wanted.result
            delay = next(delays, None)
            if delay is None:
                raise Precondition(f"Others kept changing {what} meanwhile; look at it and try again.")
            await self._clock.sleep(delay)
