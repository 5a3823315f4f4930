# SPDX-License-Identifier: Apache-2.0
"""The store in memory keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from zun.base.clock import ManualClock
from zun.store.contract import StoreContract
from zun.store.contract_leases import PassTime
from zun.store.interface import Store
from zun.store.memory import MemoryStore


@pytest.fixture
async def store(clock: ManualClock) -> AsyncIterator[Store]:
    store = MemoryStore(clock)
    yield store
    await store.close()


@pytest.fixture
def pass_time(clock: ManualClock) -> PassTime:
    async def advance(seconds: float) -> None:
        clock.advance(seconds)

    return advance


class TestMemoryStore(StoreContract):
    """See `zun.store.contract`."""
