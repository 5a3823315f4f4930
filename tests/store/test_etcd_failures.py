# SPDX-License-Identifier: Apache-2.0
"""What users of the store see when members of etcd die, hang or are cut off: a pause at most, and never a lost or doubled write."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.etcd_cluster import EtcdCluster
from support.etcd_load import InOrder, Load
from zun.base.clock import SystemClock
from zun.model.errors import Internal, Timeout, Unavailable
from zun.store.contract_keys import put
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Store

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path) as cluster:
        yield cluster


async def connect(cluster: EtcdCluster, first: int, *, far: bool = False) -> EtcdStore:
    """A store that speaks to member `first` as long as that works."""
    endpoints = cluster.far_endpoints if far else cluster.endpoints
    options = cluster.client_options(endpoints=[*endpoints[first:], *endpoints[:first]])
    return await EtcdStore.connect(options, SystemClock(), rng=InOrder())


async def put_again_and_again(store: Store, key: str, value: bytes) -> int:
    """Write what may be written twice; what is under way when a leader goes is in doubt."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Unavailable, Timeout):
                return await put(store, key, value)


@pytest.mark.parametrize("victim", ["leader", "follower"])
@pytest.mark.parametrize("harm", ["kill", "freeze", "cut_off"])
async def test_writes_and_watches_go_on_when_their_member_fails(
    cluster: EtcdCluster, root: str, victim: str, harm: str
) -> None:
    number = cluster.leader() if victim == "leader" else cluster.follower()
    store = await connect(cluster, number)
    async with Load(store, store, root) as load:
        await load.acknowledges()
        getattr(cluster, harm)(number)
        await load.acknowledges()
        heal = {"kill": cluster.start, "freeze": cluster.thaw, "cut_off": cluster.join_again}[harm]
        await asyncio.to_thread(heal, number)
        await load.acknowledges()
    load.check()
    await store.close()


async def test_a_client_that_is_cut_off_from_its_member_goes_to_another(cluster: EtcdCluster, root: str) -> None:
    store = await connect(cluster, 1, far=True)
    async with Load(store, store, root) as load:
        await load.acknowledges()
        cluster.cut_off(1, clients=True)
        await load.acknowledges()
        cluster.join_again(1)
        await load.acknowledges()
    load.check()
    await store.close()


async def test_a_member_of_a_minority_shows_nothing_old(cluster: EtcdCluster, root: str) -> None:
    alone = cluster.leader()
    reader, writer = await connect(cluster, alone), await connect(cluster, (alone + 1) % 3)
    await put(writer, root + "a", b"old")
    assert (await reader.get(root + "a")).value == b"old"  # type: ignore[union-attr]
    cluster.cut_off(alone)
    revision = await put_again_and_again(writer, root + "a", b"new")
    found = await reader.get(root + "a")
    assert found is not None
    assert (found.value, found.mod_revision) == (b"new", revision)
    await reader.close()
    await writer.close()


async def test_without_a_majority_writes_are_refused_and_come_back_with_it(cluster: EtcdCluster, root: str) -> None:
    store = await connect(cluster, 0)
    async with Load(store, store, root) as load:
        await load.acknowledges()
        for number in (1, 2):
            cluster.kill(number)
        await load.is_refused()
        with pytest.raises((Unavailable, Timeout)):
            await store.get(root + "a")
        await load.is_refused()
        await asyncio.to_thread(cluster.start_all)
        await load.acknowledges()
    load.check()
    await store.close()


async def test_all_members_restart_at_once_and_nothing_is_lost(cluster: EtcdCluster, root: str) -> None:
    store = await connect(cluster, 0)
    async with Load(store, store, root) as load:
        await load.acknowledges()
        cluster.kill_all()
        await load.is_refused()
        await asyncio.to_thread(cluster.start_all)
        await load.acknowledges()
    load.check()
    assert {kv.key for kv in (await store.range(root)).items} >= set(load.acknowledged)
    await store.close()


@pytest.mark.parametrize("token", ["etcd-cluster", "another"])
async def test_after_a_restore_from_backup_nothing_that_was_known_is_believed(
    cluster: EtcdCluster, root: str, tmp_path: Path, token: str
) -> None:
    store = await connect(cluster, 0)
    await put(store, root + "a", b"saved")
    cluster.backup(tmp_path / "backup")
    for _ in range(3):
        revision = await put(store, root + "a", b"lost")
    async with store.watch(root, from_revision=revision) as changes:
        await anext(changes)
        await asyncio.to_thread(cluster.restore, tmp_path / "backup", token=token)
        async with asyncio.timeout(60):
            with pytest.raises(Internal, match="restart this process"):
                await anext(changes)
    with pytest.raises(Internal, match="restart this process"):
        await store.get(root + "a")
    await store.close()
    anew = await connect(cluster, 0)
    found = await anew.get(root + "a")
    assert found is not None
    assert found.value == b"saved"
    await anew.close()
