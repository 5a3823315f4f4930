# SPDX-License-Identifier: Apache-2.0
"""A store says which versions may work on it."""

import pytest

from zun.base.clock import ManualClock
from zun.model.errors import Unsupported
from zun.store import codec, keys
from zun.store.interface import Put
from zun.store.memory import MemoryStore
from zun.store.schema import UNDERSTOOD, StoreSchema, check_schema, claim_schema


async def test_a_new_store_learns_what_it_needs_from_the_first_who_may_write() -> None:
    store = MemoryStore(ManualClock())
    assert not await check_schema(store, "1")
    await claim_schema(store, "1")
    await claim_schema(store, "2")
    assert await check_schema(store, "2")
    found = await store.get(keys.SCHEMA)
    assert found is not None
    assert codec.decode(StoreSchema, found.value) == StoreSchema(needs=UNDERSTOOD, by="1")
    await store.close()


async def test_a_store_that_a_newer_version_changed_is_refused_with_what_to_do() -> None:
    store = MemoryStore(ManualClock())
    await store.transact([], [Put(keys.SCHEMA, codec.encode(StoreSchema(needs=UNDERSTOOD + 1, by="9.0")))])
    for refused in (check_schema, claim_schema):
        with pytest.raises(Unsupported, match=r"made by Zun 9\.0.*Upgrade Zun on this machine"):
            await refused(store, "1")
    await store.close()
