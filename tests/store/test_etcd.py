# SPDX-License-Identifier: Apache-2.0
"""A real etcd keeps the contract, and its client outlives the server."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc.aio
import pytest

from support.etcd_server import EtcdServer, free_port
from zun.base.backoff import Backoff
from zun.base.clock import SystemClock
from zun.model.errors import Invalid, Timeout, Unavailable, Unsupported
from zun.store.contract import StoreContract
from zun.store.contract_keys import put
from zun.store.contract_leases import PassTime
from zun.store.contract_watches import events_until
from zun.store.etcd import messages
from zun.store.etcd.channel import Calls, insecure_channel, meaning
from zun.store.etcd.store import EtcdStore, progress_is_true
from zun.store.etcd.watch import EtcdWatch
from zun.store.interface import Put, Store, WatchBatch

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    server = EtcdServer(tmp_path_factory.mktemp("etcd"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def store(server: EtcdServer) -> AsyncIterator[Store]:
    store = await EtcdStore.connect(server.endpoint, SystemClock())
    yield store
    await store.close()


@pytest.fixture
def pass_time() -> PassTime:
    return asyncio.sleep


class TestEtcdStore(StoreContract):
    """See `zun.store.contract`."""

    marks_progress = False  # Debian's 3.4.23 is too old for progress on request


async def test_etcd_itself_refuses_what_our_limits_refuse(server: EtcdServer) -> None:
    async with insecure_channel(server.endpoint) as channel:
        calls = Calls(channel)
        for ops in (
            [Put("twice", b"1"), Put("twice", b"2")],
            [Put(f"many/{number}", b"") for number in range(129)],
            [Put("large", bytes(1_600_000))],
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await calls.txn(messages.transaction([], ops, []), timeout=10)
            assert isinstance(meaning(refusal.value, writing=True), Invalid), refusal.value.details()


async def until_it_answers(store: EtcdStore) -> None:
    async with asyncio.timeout(30):
        for delay in Backoff(first_seconds=0.05, cap_seconds=0.5).delays():
            try:
                await store.revision()
                return
            except (Unavailable, Timeout):
                await asyncio.sleep(delay)


async def test_a_watch_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    server = EtcdServer(tmp_path)
    server.start()
    store = await EtcdStore.connect(server.endpoint, SystemClock())
    try:
        first = await put(store, "/a", b"before")
        async with store.watch("/", from_revision=first) as changes:
            assert [event.kv.mod_revision for event in await events_until(changes, first)] == [first]
            waiting = asyncio.ensure_future(events_until(changes, first + 1))
            server.kill()
            with pytest.raises((Unavailable, Timeout)):
                await store.revision()
            server.start()
            await until_it_answers(store)
            second = await put(store, "/a", b"after")
            assert [event.kv.value for event in await waiting] == [b"after"]
            assert second == first + 1
    finally:
        await store.close()
        server.kill()


async def test_a_watch_that_is_asked_says_how_far_it_is(store: EtcdStore, server: EtcdServer, root: str) -> None:
    async with insecure_channel(server.endpoint) as channel:
        watch = EtcdWatch(Calls(channel), root, await store.revision() + 1, SystemClock())
        await watch.open()
        elsewhere = await put(store, "/elsewhere")
        for _ in range(3):
            await watch.ask_progress(elsewhere)
        async with asyncio.timeout(20):
            assert await anext(watch) == WatchBatch(elsewhere, ())
        await watch.close()


async def test_a_watch_whose_server_never_returns_is_unavailable(tmp_path: Path) -> None:
    server = EtcdServer(tmp_path)
    server.start()
    channel = insecure_channel(server.endpoint)
    once = Backoff(first_seconds=0.01, attempts=1)
    watch = EtcdWatch(Calls(channel), "/", 1, SystemClock(), reconnect=once)
    await watch.open()
    server.kill()
    with pytest.raises(Unavailable):
        await anext(watch)
    await watch.close()
    await channel.close()


async def test_a_write_to_a_server_that_is_not_there_is_unavailable_and_not_in_doubt() -> None:
    with pytest.raises(Unavailable):
        await EtcdStore.connect(f"127.0.0.1:{free_port()}", SystemClock())


async def test_encryption_is_refused_and_not_silently_left_out() -> None:
    with pytest.raises(Unsupported):
        await EtcdStore.connect("https://127.0.0.1:2379", SystemClock())


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.4.23", False),
        ("3.4.31", True),
        ("3.5.9", False),
        ("3.5.13", True),
        ("3.6.0", True),
        ("4.0.0", True),
        ("", False),
    ],
)
def test_progress_on_request_is_used_only_where_it_is_in_order(version: str, expected: bool) -> None:
    assert progress_is_true(version) is expected


def test_a_connection_that_ends_while_a_call_begins_is_no_fault_of_ours() -> None:
    nothing = grpc.aio.Metadata()
    ended = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, nothing, nothing, "Internal error from Core")
    assert isinstance(meaning(ended), Unavailable)
    assert isinstance(meaning(ended, writing=True), Timeout)
