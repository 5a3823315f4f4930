# SPDX-License-Identifier: Apache-2.0
"""Who lives on watches – the view, a node's inbox, a candidate for leadership – loses nothing and invents nothing on a real cluster."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from support.etcd_cluster import EtcdCluster
from support.etcd_load import InOrder
from support.records import record
from zun.base.clock import SystemClock
from zun.model.errors import Timeout, Unavailable
from zun.model.inbox import inbox_of
from zun.model.records import ContainerRecord, Place
from zun.store import codec, keys
from zun.store.election import Election
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Delete, Op, Put, Store
from zun.store.nodelink_store import StoreNodeLink
from zun.store.view import View

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]

LONG_SECONDS = 60.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def near(cluster: EtcdCluster) -> AsyncIterator[Store]:
    """The store as somebody sees it who is never cut off."""
    store = await EtcdStore.connect(cluster.client_options(), SystemClock())
    yield store
    await store.close()


@pytest.fixture
async def far(cluster: EtcdCluster) -> AsyncIterator[Store]:
    """The store over links that can be cut."""
    store = await EtcdStore.connect(cluster.client_options(far=True), SystemClock(), rng=InOrder())
    yield store
    await store.close()


@asynccontextmanager
async def view_of(store: Store) -> AsyncIterator[View]:
    view = View(store, SystemClock())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(view.run())
        await view.ready()
        yield view
        running.cancel()


async def until(view: View, condition: Callable[[], bool]) -> None:
    """Wait for changes of the view until they make `condition` true."""
    changes = view.subscribe()
    async with asyncio.timeout(LONG_SECONDS):
        while not condition():
            await changes.batch()


async def lose(cluster: EtcdCluster, store: Store) -> None:
    """Cut the store's client off, and wait until it has noticed."""
    for number in range(3):
        cluster.cut_off(number, peers=False, clients=True)
    with suppress(Unavailable, Timeout):
        await store.revision()


def mend(cluster: EtcdCluster) -> None:
    for number in range(3):
        cluster.join_again(number)


def wish_op(wished: ContainerRecord) -> Op:
    return Put(keys.container(wished.uuid), codec.encode(wished))


def inbox_op(wished: ContainerRecord) -> Op:
    return Put(keys.inbox("n1", wished.uuid), codec.encode(inbox_of(wished, Place(wished.uuid, "n1", 1, 1.0))))


async def test_who_missed_a_compaction_learns_how_things_are_and_no_more(
    cluster: EtcdCluster, near: Store, far: Store
) -> None:
    kept, changed, deleted, flash, new = (record(name=name) for name in ("kept", "changed", "deleted", "flash", "new"))
    await near.transact([], [op for each in (kept, changed, deleted) for op in (wish_op(each), inbox_op(each))])
    other = await Election(near, "test", "other", 60, SystemClock()).campaign()
    link = StoreNodeLink(far, "n1", SystemClock())
    async with view_of(far) as view, link.inbox() as inbox:
        first = await anext(inbox)
        assert first.snapshot
        assert set(first.containers) == {kept.uuid, changed.uuid, deleted.uuid}
        told = view.subscribe()
        campaign = asyncio.ensure_future(Election(far, "test", "me", 60, SystemClock()).campaign())
        await lose(cluster, far)

        changed.spec.name = "renamed"
        await near.transact([], [wish_op(new), inbox_op(new), wish_op(flash), inbox_op(flash)])
        await near.transact([], [wish_op(changed), inbox_op(changed)])
        gone = [Delete(key(each.uuid)) for each in (deleted, flash) for key in (keys.container, _inbox_key)]
        await near.transact([], gone)
        await other.resign()
        await near.compact(await near.revision())
        assert not campaign.done()

        mend(cluster)
        async with asyncio.timeout(LONG_SECONDS):
            again = await anext(inbox)
            leadership = await campaign
            await until(view, lambda: view.container(deleted.uuid) is None)
        assert again.snapshot
        assert set(again.containers) == {kept.uuid, changed.uuid, new.uuid}
        assert (await near.transact([leadership.compare()], [])).succeeded
        heard = [change for change in await told.batch() if change.kind == "container"]
        assert {(change.id, change.deleted) for change in heard} == {
            (new.uuid, False),
            (changed.uuid, False),
            (deleted.uuid, True),
        }
        assert len(heard) == 3
        assert {entry.uuid: entry.name for entry in view.containers()} == {
            kept.uuid: "kept",
            changed.uuid: "renamed",
            new.uuid: "new",
        }
        await leadership.resign()


def _inbox_key(uuid: str) -> str:
    return keys.inbox("n1", uuid)


@pytest.mark.parametrize("role", ["leader", "follower"])
async def test_a_view_at_a_member_that_lags_says_so_and_never_shows_old_things_as_fresh(
    cluster: EtcdCluster, near: Store, role: str
) -> None:
    alone = cluster.leader() if role == "leader" else cluster.follower()
    order = [*cluster.endpoints[alone:], *cluster.endpoints[:alone]]
    store = await EtcdStore.connect(cluster.client_options(endpoints=order), SystemClock(), rng=InOrder())
    async with view_of(store) as view:
        cluster.cut_off(alone)
        for number in range(10):
            wished = record(name=f"c{number}")
            async with asyncio.timeout(LONG_SECONDS):
                while True:
                    with suppress(Unavailable, Timeout):
                        await near.transact([], [wish_op(wished)])
                        break
                await view.fresh()
            assert view.stale_since is not None or view.container(wished.uuid) is not None
        await until(view, lambda: view.container(wished.uuid) is not None)
    await store.close()


async def test_a_view_whose_member_hangs_catches_up_elsewhere(cluster: EtcdCluster, near: Store) -> None:
    number = cluster.follower()
    order = [*cluster.endpoints[number:], *cluster.endpoints[:number]]
    store = await EtcdStore.connect(cluster.client_options(endpoints=order), SystemClock(), rng=InOrder())
    async with view_of(store) as view:
        cluster.freeze(number)
        wished = record()
        while True:
            with suppress(Unavailable, Timeout):
                await near.transact([], [wish_op(wished)])
                break
        await until(view, lambda: view.container(wished.uuid) is not None)  # nobody asks: the silence itself is noticed
    await store.close()
