# SPDX-License-Identifier: Apache-2.0
"""Leases on a cluster: many share one stream, each gets its own answer, and a member that fails costs none of them."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.etcd_cluster import EtcdCluster
from support.etcd_load import InOrder
from zun.base.clock import SystemClock
from zun.model.errors import NotFound, Unavailable
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Put

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]

TTL_SECONDS = 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def store(cluster: EtcdCluster) -> AsyncIterator[EtcdStore]:
    """Speaks to a follower first, which must pass renewals on to the leader."""
    first = cluster.follower()
    order = [*cluster.endpoints[first:], *cluster.endpoints[:first]]
    store = await EtcdStore.connect(cluster.client_options(endpoints=order), SystemClock(), rng=InOrder())
    yield store
    await store.close()


async def test_each_lease_gets_its_own_answer(store: EtcdStore) -> None:
    leases = {await store.grant_lease(60 + number): 60 + number for number in range(40)}
    ended = [await store.grant_lease(60) for _ in range(10)]
    for lease in ended:
        await store.revoke(lease)
    asked = [*leases, *ended, *leases]
    answers = await asyncio.gather(*(store.keep_alive(lease) for lease in asked), return_exceptions=True)
    for lease, answer in zip(asked, answers, strict=True):
        if lease in leases:
            assert answer == leases[lease]
        else:
            assert isinstance(answer, NotFound)


async def test_who_stops_waiting_for_a_renewal_disturbs_nobody(store: EtcdStore) -> None:
    leases = [await store.grant_lease(60) for _ in range(20)]
    renewals = [asyncio.ensure_future(store.keep_alive(lease)) for lease in leases]
    await asyncio.sleep(0)
    for renewal in renewals[::2]:
        renewal.cancel()
    assert await asyncio.gather(*renewals[1::2]) == [60] * 10
    assert await asyncio.gather(*(store.keep_alive(lease) for lease in leases)) == [60] * 20


@pytest.mark.parametrize(("harm", "victim"), [("kill", "leader"), ("freeze", "member"), ("cut_off", "member")])
async def test_no_lease_is_lost_when_a_member_fails(
    cluster: EtcdCluster, store: EtcdStore, root: str, harm: str, victim: str
) -> None:
    lease = await store.grant_lease(TTL_SECONDS)
    await store.transact([], [Put(root + "alive", b"", lease)])
    await store.keep_alive(lease)
    number = cluster.leader() if victim == "leader" else cluster.follower()
    getattr(cluster, harm)(number)
    for _ in range(5):  # longer than it lives without
        assert await store.keep_alive(lease) == TTL_SECONDS
        await asyncio.sleep(TTL_SECONDS / 4)
    heal = {"kill": cluster.start, "freeze": cluster.thaw, "cut_off": cluster.join_again}[harm]
    await asyncio.to_thread(heal, number)
    found = await store.get(root + "alive")
    assert found is not None
    assert found.lease == lease


async def test_without_any_member_a_renewal_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, size=1) as cluster:
        store = await EtcdStore.connect(cluster.client_options(), SystemClock())
        lease = await store.grant_lease(60)
        cluster.kill(0)
        with pytest.raises(Unavailable):
            await store.keep_alive(lease)
        await asyncio.to_thread(cluster.start, 0)
        assert await store.keep_alive(lease) == 60
        await store.close()
