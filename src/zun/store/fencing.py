# SPDX-License-Identifier: Apache-2.0
"""Transactions of a leader: each one compares the leadership, so a leader that was replaced writes nothing more."""

import asyncio
from collections.abc import Sequence

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Timeout, Unavailable
from zun.store.interface import MAX_TXN_OPS, Compare, CompareField, Get, KeyValue, Op, Store, TxnResult

MAX_COMPARES = MAX_TXN_OPS - 1
"""What is left to the caller: one comparison is the leadership's."""

_TIMEOUT_SECONDS = 30.0
_RETRY = Backoff(first_seconds=0.05, cap_seconds=2.0)


class LeadershipLost(Exception):
    """Somebody else leads, or nobody; stop, and campaign again."""


class Fence:
    """The store as one leader may write it."""

    def __init__(self, store: Store, clock: Clock, leadership: Compare) -> None:
        self._store = store
        self._clock = clock
        self.leadership = leadership

    async def transact(self, compares: Sequence[Compare], ops: Sequence[Op]) -> TxnResult:
        """Write while leading. A failed result means that one of `compares` did not hold. Raises `LeadershipLost`.

        While the store is away the same transaction is tried again, for as long as the caller leads: so when this returns it is
        known whether it was written. (Written by a try whose answer got lost, it returns as failed: look at the records.)
        """
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    result = await self._store.transact([self.leadership, *compares], ops, [Get(self.leadership.key)])
                break
            except (Unavailable, Timeout, TimeoutError):
                await self._clock.sleep(_RETRY.delay(attempt))
                attempt += 1
        if not result.succeeded and not _holds(self.leadership, result.reads[0]):
            raise LeadershipLost(self.leadership.key)
        return result


def _holds(compare: Compare, found: KeyValue | None) -> bool:
    match compare.field:
        case CompareField.MOD_REVISION:
            return (found.mod_revision if found else 0) == compare.expected
        case CompareField.CREATE_REVISION:
            return (found.create_revision if found else 0) == compare.expected
        case CompareField.VERSION:
            return (found.version if found else 0) == compare.expected
        case CompareField.VALUE:
            return found is not None and found.value == compare.expected
