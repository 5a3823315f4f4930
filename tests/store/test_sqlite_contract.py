# SPDX-License-Identifier: Apache-2.0
"""The embedded store keeps the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zun.base.clock import ManualClock
from zun.store.contract import StoreContract
from zun.store.contract_leases import PassTime
from zun.store.interface import Store
from zun.store.sqlite import SqliteStore


@pytest.fixture
async def store(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
    store = await SqliteStore.open(tmp_path / "store.db", clock)
    yield store
    await store.close()


@pytest.fixture
def pass_time(clock: ManualClock) -> PassTime:
    async def advance(seconds: float) -> None:
        clock.advance(seconds)

    return advance


class TestSqliteStore(StoreContract):
    """See `zun.store.contract`."""
