# SPDX-License-Identifier: Apache-2.0
"""An etcd that is full takes no writes and says so; everything else goes on, and space that is freed lets it write again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.etcd_cluster import EtcdCluster
from zun.base.clock import SystemClock
from zun.model.errors import Unavailable
from zun.store.contract_keys import put
from zun.store.contract_watches import events_until
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Delete

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]

QUOTA_BYTES = 8 * 2**20
VALUE = bytes(200_000)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path, quota_bytes=QUOTA_BYTES) as cluster:
        yield cluster


async def fill(store: EtcdStore, root: str) -> list[tuple[str, int]]:
    """Write until etcd takes no more; returns what it took, with revisions."""
    taken: list[tuple[str, int]] = []

    async def write() -> None:
        for number in range(1000):
            key = f"{root}{number % 5}"  # history fills it, as in life
            taken.append((key, await put(store, key, VALUE + str(number).encode())))

    with pytest.raises(Unavailable, match=r"out of space.*compact, defragment every member.*disarm the alarm"):
        await write()
    assert len(taken) > 10
    return taken


async def test_a_full_etcd_refuses_writes_only_and_takes_them_again_when_space_was_freed(
    cluster: EtcdCluster, root: str
) -> None:
    store = await EtcdStore.connect(cluster.client_options(), SystemClock())
    lease = await store.grant_lease(60)
    start = await store.revision() + 1
    async with store.watch(root, from_revision=start) as changes:
        taken = await fill(store, root)
        with pytest.raises(Unavailable, match="out of space"):
            await store.grant_lease(60)

        newest = dict(taken)
        assert {kv.key: kv.mod_revision for kv in (await store.range(root)).items} == newest
        assert [(event.kv.key, event.kv.mod_revision) for event in await events_until(changes, taken[-1][1])] == taken
        assert await store.keep_alive(lease) == 60
        await store.transact([], [Delete(taken[-1][0])])
        assert await store.get(taken[-1][0]) is None
        await store.revoke(lease)

        await store.compact(await store.revision())
        for endpoint in cluster.endpoints:
            cluster.etcdctl("defrag", endpoints=[endpoint])
        with pytest.raises(Unavailable, match="out of space"):
            await put(store, root + "0", b"the alarm is still on")
        cluster.etcdctl("alarm", "disarm")
        revision = await put(store, root + "0", b"small")
        assert (await events_until(changes, revision))[-1].kv.value == b"small"
    await store.close()
