# SPDX-License-Identifier: Apache-2.0
"""A store says which versions may work on it."""

import pytest

from zun.base.clock import ManualClock
from zun.model.errors import Unavailable, Unsupported
from zun.store import codec, keys
from zun.store.interface import Put
from zun.store.memory import MemoryStore
from zun.store.schema import UNDERSTOOD, StoreSchema, check_schema, claim_schema, known_schema


async def test_a_new_store_learns_what_it_needs_from_the_first_who_may_write() -> None:
    store = MemoryStore(ManualClock())
    assert not await check_schema(store, "1")
    first = await claim_schema(store, "1")
    assert (first.needs, first.by) == (UNDERSTOOD, "1")
    assert await claim_schema(store, "2") == await check_schema(store, "2") == first
    await store.close()


async def test_no_two_new_stores_are_the_same() -> None:
    stores = [MemoryStore(ManualClock()) for _ in range(2)]
    ids = {(await claim_schema(store, "1")).id for store in stores}
    assert len(ids - {""}) == 2
    for store in stores:
        await store.close()


async def test_who_may_not_write_it_waits_for_a_store_that_holds_nothing() -> None:
    store = MemoryStore(ManualClock())
    with pytest.raises(Unavailable, match="holds nothing yet"):
        await known_schema(store, "1")
    await claim_schema(store, "1")
    assert await known_schema(store, "1") == await check_schema(store, "1")
    await store.close()


async def test_nobody_works_on_a_store_into_which_a_backup_is_put() -> None:
    store = MemoryStore(ManualClock())
    await store.transact([], [Put(keys.SCHEMA, codec.encode(StoreSchema(UNDERSTOOD, restoring_since=1.0)))])
    for refused in (check_schema, claim_schema, known_schema):
        with pytest.raises(Unavailable, match=r"not whole yet.*zund restore --force"):
            await refused(store, "1")
    await store.close()


async def test_a_store_that_a_newer_version_changed_is_refused_with_what_to_do() -> None:
    store = MemoryStore(ManualClock())
    await store.transact([], [Put(keys.SCHEMA, codec.encode(StoreSchema(needs=UNDERSTOOD + 1, by="9.0")))])
    for refused in (check_schema, claim_schema, known_schema):
        with pytest.raises(Unsupported, match=r"made by Zun 9\.0.*Upgrade Zun on this machine"):
            await refused(store, "1")
    await store.close()
