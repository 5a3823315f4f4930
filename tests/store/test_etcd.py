# SPDX-License-Identifier: Apache-2.0
"""A real etcd keeps the contract: one plain server, and a cluster of three with certificates and users."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator

import grpc.aio
import pytest

from support.etcd_cluster import EtcdCluster
from support.etcd_server import EtcdServer
from zun.base.clock import SystemClock
from zun.model.errors import Invalid
from zun.store.contract import StoreContract
from zun.store.contract_keys import put
from zun.store.contract_leases import PassTime
from zun.store.etcd import messages
from zun.store.etcd.address import Address
from zun.store.etcd.channel import Calls, open_channel
from zun.store.etcd.connection import Connection, Refused
from zun.store.etcd.failures import failure_of
from zun.store.etcd.members import Members
from zun.store.etcd.store import EtcdStore
from zun.store.etcd.watch import EtcdWatch
from zun.store.interface import Put, Store, WatchBatch
from zun.store.options import StoreOptions

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    server = EtcdServer(tmp_path_factory.mktemp("etcd"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with EtcdCluster(tmp_path_factory.mktemp("cluster"), auth=True) as cluster:
        yield cluster


@pytest.fixture
def pass_time() -> PassTime:
    return asyncio.sleep


class TestPlainEtcd(StoreContract):
    """See `zun.store.contract`."""

    marks_progress = False  # Debian's 3.4.23 is too old for progress on request

    @pytest.fixture
    async def store(self, server: EtcdServer) -> AsyncIterator[Store]:
        store = await EtcdStore.connect(StoreOptions("etcd", (server.endpoint,)), SystemClock())
        yield store
        await store.close()


class TestEtcdCluster(StoreContract):
    """The same over TLS, as a user of etcd, with three members."""

    marks_progress = False

    @pytest.fixture
    async def store(self, cluster: EtcdCluster) -> AsyncIterator[Store]:
        store = await EtcdStore.connect(cluster.client_options(), SystemClock())
        yield store
        await store.close()


async def test_etcd_itself_refuses_what_our_limits_refuse(server: EtcdServer) -> None:
    async with open_channel(address_of(server), None) as channel:
        calls = Calls(channel)
        for ops in (
            [Put("twice", b"1"), Put("twice", b"2")],
            [Put(f"many/{number}", b"") for number in range(129)],
            [Put("large", bytes(1_600_000))],
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await calls.txn(messages.transaction([], ops, []), timeout=10)
            assert failure_of(refusal.value, writing=True).kind is Invalid, refusal.value.details()


def address_of(server: EtcdServer) -> Address:
    host, _, port = server.endpoint.partition(":")
    return Address(host, int(port))


async def test_a_watch_that_is_asked_says_how_far_it_is(server: EtcdServer, root: str) -> None:
    store = await EtcdStore.connect(StoreOptions("etcd", (server.endpoint,)), SystemClock())
    members = Members([address_of(server)], None, SystemClock())
    await members.start(5)
    (
        await members.connected()
    ).progress_is_true = True  # it is not quite in this version, but nothing else happens here
    watch = EtcdWatch(members, messages.key_range(root), await store.revision() + 1, SystemClock())
    await watch.open()
    elsewhere = await put(store, "/elsewhere")
    for _ in range(3):
        await watch.ask_progress(elsewhere)
    async with asyncio.timeout(60):
        assert await anext(watch) == WatchBatch(elsewhere, ())
    await watch.close()
    await members.close(Invalid("closed"))
    await store.close()


async def test_a_member_that_was_given_up_is_asked_nothing_any_more(server: EtcdServer) -> None:
    connection = await Connection.connect(address_of(server), None, SystemClock())
    await connection.close()
    with pytest.raises(Refused, match="given up"):
        await connection.look()
