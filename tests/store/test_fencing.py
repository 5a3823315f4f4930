# SPDX-License-Identifier: Apache-2.0
"""Two leaders with a fence each: the older one's transactions write nothing, whatever else they compare."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.etcd_server import EtcdServer
from zun.base.clock import ManualClock, SystemClock
from zun.store import keys
from zun.store.etcd.store import EtcdStore
from zun.store.fencing import Fence, LeadershipLost
from zun.store.interface import Compare, CompareField, Delete, Put, Store, absent, unchanged
from zun.store.memory import MemoryStore
from zun.store.sqlite import SqliteStore

KEY = keys.leader("fenced")
THING = keys.place("thing")


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """A server; started by who needs it."""
    server = EtcdServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture(params=["memory", "sqlite", pytest.param("etcd", marks=pytest.mark.etcd)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """One of each kind."""
    made: Store
    if request.param == "memory":
        made = MemoryStore(ManualClock())
    elif request.param == "sqlite":
        made = await SqliteStore.open(tmp_path / "store.db", ManualClock())
    else:
        server: EtcdServer = request.getfixturevalue("etcd")
        server.start()
        made = await EtcdStore.connect(server.endpoint, SystemClock())
    yield made
    await made.close()


async def lead(store: Store, name: str) -> Fence:
    """Become the leader, in place of whoever led."""
    await store.transact([], [Delete(KEY)])
    claim = await store.transact([absent(KEY)], [Put(KEY, name.encode())])
    return Fence(store, ManualClock(), Compare(KEY, CompareField.CREATE_REVISION, claim.revision))


async def test_who_was_replaced_writes_nothing_more(store: Store) -> None:
    old = await lead(store, "old")
    first = await old.transact([absent(THING)], [Put(THING, b"old")])
    assert first.succeeded
    new = await lead(store, "new")
    before = await store.revision()
    for compares in ([], [unchanged(THING, first.revision)]):  # all that it compares itself holds
        with pytest.raises(LeadershipLost):
            await old.transact(compares, [Put(THING, b"too late")])
    assert await store.revision() == before
    assert (await new.transact([unchanged(THING, first.revision)], [Put(THING, b"new")])).succeeded
    found = await store.get(THING)
    assert found is not None
    assert found.value == b"new"


async def test_who_leads_again_does_not_write_as_who_it_was(store: Store) -> None:
    """The same name, another leadership: what was decided in the earlier one is void."""
    earlier = await lead(store, "one")
    later = await lead(store, "one")
    with pytest.raises(LeadershipLost):
        await earlier.transact([], [Put(THING, b"decided earlier")])
    assert (await later.transact([absent(THING)], [Put(THING, b"decided now")])).succeeded


async def test_a_condition_that_does_not_hold_is_no_loss_of_leadership(store: Store) -> None:
    fence = await lead(store, "one")
    await store.transact([], [Put(THING, b"there")])
    refused = await fence.transact([absent(THING)], [Put(THING, b"mine")])
    assert not refused.succeeded
