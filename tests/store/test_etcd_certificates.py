# SPDX-License-Identifier: Apache-2.0
"""Certificates are replaced while the service runs, and nobody need restart it for that."""

import asyncio
import logging
import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest

from support.etcd_certificates import Authority, Certificate
from support.etcd_cluster import EtcdCluster
from support.etcd_load import Load
from zun.base.clock import SystemClock
from zun.model.errors import Denied, Timeout, Unavailable
from zun.store.contract_keys import put
from zun.store.etcd.store import EtcdStore
from zun.store.options import StoreOptions

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]

LONG_SECONDS = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path_factory.mktemp("cluster"), size=1, auth=True) as cluster:
        cluster.etcdctl("role", "add", "reader")
        cluster.etcdctl("role", "grant-permission", "reader", "read", "--prefix=true", "/")
        cluster.etcdctl("user", "add", "reader", "--no-password")
        cluster.etcdctl("user", "grant-role", "reader", "reader")
        yield cluster


def authority(cluster: EtcdCluster) -> Authority:
    assert cluster.authority is not None
    return cluster.authority


def options(cluster: EtcdCluster, mine: Certificate) -> StoreOptions:
    ca_file = str(authority(cluster).ca_file)
    return StoreOptions("etcd", cluster.endpoints, ca_file, str(mine.cert_file), str(mine.key_file))


async def test_a_new_certificate_is_shown_from_the_next_calls_on(cluster: EtcdCluster, root: str) -> None:
    mine = authority(cluster).issue("reader", file="mine")
    store = await EtcdStore.connect(options(cluster, mine), SystemClock(), readable_key=root)
    with pytest.raises(Denied):
        await put(store, root + "a")
    authority(cluster).issue("zun-control", file="mine")  # what it may do tells which one is shown
    async with asyncio.timeout(LONG_SECONDS):
        while await _is_denied(store, root):  # noqa: ASYNC110 - files are looked at once a second
            await asyncio.sleep(0.2)
    await store.close()


async def _is_denied(store: EtcdStore, root: str) -> bool:
    try:
        await put(store, root + "a")
    except Denied:
        return True
    return False


async def test_nothing_is_lost_while_a_certificate_is_replaced(cluster: EtcdCluster, root: str) -> None:
    mine = authority(cluster).issue("zun-control", file="mine")
    store = await EtcdStore.connect(options(cluster, mine), SystemClock())
    async with Load(store, store, root) as load:
        for _ in range(3):
            await load.acknowledges(100)
            authority(cluster).issue("zun-control", file="mine")
            await asyncio.sleep(1.1)  # files are looked at once a second
    load.check()
    assert (load.refused, load.in_doubt) == (0, set())
    await store.close()


async def test_a_damaged_file_is_told_and_the_old_certificate_used_on(
    cluster: EtcdCluster, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    mine = authority(cluster).issue("zun-control", file="mine")
    store = await EtcdStore.connect(options(cluster, mine), SystemClock())
    mine.cert_file.write_text("half written")
    await asyncio.sleep(1.1)
    await put(store, root + "a")
    assert "holds no certificate" in caplog.text
    await store.close()


async def test_a_certificate_that_ends_is_told_at_the_next_connection_and_a_new_one_taken_in(
    cluster: EtcdCluster, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    mine = authority(cluster).issue("zun-control", ends=timedelta(seconds=3), file="mine")
    store = await EtcdStore.connect(options(cluster, mine), SystemClock())
    await asyncio.sleep(3)
    await put(store, root + "a")  # what is connected stays
    cluster.kill(0)
    await asyncio.to_thread(cluster.start, 0)
    with caplog.at_level(logging.WARNING), pytest.raises((Unavailable, Timeout)):
        await put(store, root + "a")
    assert "ended on" in caplog.text
    assert "refuses this client's certificate" in caplog.text
    authority(cluster).issue("zun-control", file="mine")
    await asyncio.sleep(1.1)
    await put(store, root + "a")
    await store.close()
