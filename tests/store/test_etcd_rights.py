# SPDX-License-Identifier: Apache-2.0
"""A captured node that speaks to etcd itself: what its role refuses, and what etcd 3.4.23 cannot refuse.

The second half is why nodes speak to a gate and not to etcd (tests/gate has the same attacks there); docs/security.md tells it in words.
"""

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import grpc
import grpc.aio
import pytest

from support.node_attacks import ALL, OTHER, OWN, READ_ONLY, SECRETS, USER, NodeAttacks, Place
from support.raw_etcd import OPEN, Raw, nested, refused, varint
from support.secure_etcd import Identity, SecureEtcd
from zun.base.clock import SystemClock
from zun.store import keys
from zun.store.etcd import auth_pb2 as auth
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.auth import EtcdAccounts, EtcdAuth
from zun.store.etcd.initialising import initialise
from zun.store.etcd.store import EtcdStore
from zun.store.interface import DeletePrefix, Get, Put

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]


@dataclass
class AtEtcd(Place):
    """etcd itself, open to nodes."""

    control: Raw
    etcd: SecureEtcd
    who: Identity
    auth: EtcdAuth
    accounts: EtcdAccounts


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureEtcd]:
    server = SecureEtcd(tmp_path_factory.mktemp("etcd"), open_to_nodes=True)
    server.start()
    asyncio.run(_furnish(server))
    yield server
    server.kill()


async def _furnish(server: SecureEtcd) -> None:
    await initialise(server.control().options(), SystemClock())
    store = await EtcdStore.connect(server.control().options(), SystemClock())
    for name, user in (("n1", USER), ("n10", OTHER)):
        await EtcdAccounts(store.auth()).give(name, user)
    await store.close()


@pytest.fixture
async def place(etcd: SecureEtcd) -> AsyncIterator[AtEtcd]:
    who = etcd.identity(USER, "node-n1")
    store = await EtcdStore.connect(etcd.control().options(), SystemClock())
    await store.transact([], [Put(key, b"kept") for key in ALL])
    async with etcd.control().channel() as control, who.channel() as node:
        yield AtEtcd(store, Raw(node), Raw(control), etcd, who, store.auth(), EtcdAccounts(store.auth()))
    await store.close()


@pytest.fixture
async def passing(place: AtEtcd) -> AsyncIterator[AtEtcd]:
    """A place whose accounts a test may change."""
    yield place
    await place.accounts.give("n1", USER)


class TestEtcdItself(NodeAttacks):
    """See `support.node_attacks`."""

    bounded_watches = False


@pytest.mark.parametrize("user", ["root", "zun-control", USER])
async def test_nobody_logs_in_by_password(place: AtEtcd, user: str) -> None:
    request = bytes([0x0A, len(user)]) + user.encode() + b"\x12\x01x"
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await place.node.send("etcdserverpb.Auth/Authenticate", request)
    assert "no password user" in (refusal.value.details() or "")


async def test_etcds_http_gateway_knows_nobody(place: AtEtcd) -> None:
    key = base64.b64encode(keys.leader("controller").encode()).decode()
    for who in (place.who, place.etcd.control()):
        status, answer = await asyncio.to_thread(who.fetch, "/v3/kv/range", {"key": key})
        assert (status, b"kept" in answer) == (400, False)
    assert (await asyncio.to_thread(place.who.fetch, "/v2/keys"))[0] == 404


async def test_without_a_certificate_nobody_is_let_in(place: AtEtcd, capfd: pytest.CaptureFixture[str]) -> None:
    authority = grpc.ssl_channel_credentials(place.who.ca_file.read_bytes())
    async with grpc.aio.secure_channel(place.etcd.endpoint, authority) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await channel.unary_unary("/etcdserverpb.Maintenance/Status")(b"", timeout=5)
    assert refusal.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    capfd.readouterr()  # the gRPC library complains on standard error


async def test_a_node_is_no_peer(place: AtEtcd) -> None:
    with pytest.raises(OSError, match=r"(?i)eof|alert|reset"):
        await asyncio.to_thread(place.who.fetch, "/members", port=place.etcd.peer_port)


@pytest.mark.parametrize("name", ["zun-nobody", "node-n1", "node-n1@00000002", "etcd-e1"])
async def test_a_certificate_without_account_reads_and_writes_nothing(place: AtEtcd, name: str) -> None:
    raw = Raw(place.etcd.identity(name).channel())
    for key in (*SECRETS[:6], *READ_ONLY, keys.node_alive("n1")):
        await refused(raw.range(key.encode()))
        await refused(raw.txn([], [Put(key, b"x")]))
    await raw.channel.close()


async def test_a_replaced_machine_has_no_rights_under_its_old_certificate(passing: AtEtcd) -> None:
    await passing.accounts.give("n1", "node-n1@00000002")
    await refused(passing.node.range(keys.node_alive("n1").encode()))
    assert sorted(await passing.accounts.users()) == ["node-n10@00000001", "node-n1@00000002"]


async def test_a_removed_node_has_no_rights_and_its_role_is_gone(passing: AtEtcd) -> None:
    for _ in range(2):  # may be repeated
        await passing.accounts.take_all("n1")
    await refused(passing.node.range(keys.node_alive("n1").encode()))
    await refused(passing.node.txn([], [Put(keys.node_alive("n1"), b"x")]))


async def test_a_role_that_was_widened_by_hand_is_put_right(passing: AtEtcd) -> None:
    wide = auth.Permission(permType=auth.Permission.READ, key=b"/zun/", range_end=b"/zun0")
    grant = auth.RoleGrantPermissionRequest(name="node-n1", perm=wide)
    await passing.control.unary("Auth/RoleGrantPermission", grant, auth.RoleGrantPermissionResponse)
    assert (await passing.node.range(keys.leader("controller").encode())).kvs
    await passing.accounts.give("n1", USER)
    await refused(passing.node.range(keys.leader("controller").encode()))


# What etcd 3.4.23 cannot refuse. These are no wishes but facts, each with what it costs; newer versions refuse some of them.


async def test_not_refused_everything_within_a_nested_transaction(place: AtEtcd) -> None:
    """CVE-2026-33343, mended in 3.4.42, 3.5.28 and 3.6.9. It is enough that the certificate is trusted: no user, no role."""
    nobody = Raw(place.etcd.identity("node-gone@00000001").channel())
    key = keys.leader("controller")
    assert b"kept" in await nobody.send("etcdserverpb.KV/Txn", nested([Get(key)]))
    await nobody.send("etcdserverpb.KV/Txn", nested([Put(key, b"evil")]))
    assert (await place.control.range(key.encode())).kvs[0].value == b"evil"
    await nobody.send("etcdserverpb.KV/Txn", nested([DeletePrefix("/zun/v/lead/")]))
    assert not (await place.control.range(key.encode())).kvs
    await nobody.channel.close()


async def test_not_refused_a_watch_without_end(place: AtEtcd) -> None:
    """CVE-2026-73499, mended in 3.5.33, 3.6.14 and 3.7.1: all that is written after a key that the node may read, in key order."""
    stream, made = await place.node.watch(b"/zun/in/n1/", OPEN)
    assert not made.canceled
    await place.control.txn([], [Put(keys.registry("r1"), b"somebody's login")])
    assert (await stream.read()).events[0].kv.value == b"somebody's login"
    stream.cancel()


async def test_not_refused_a_lease_of_others_is_used_within_a_transaction(place: AtEtcd) -> None:
    """CVE-2026-44283, mended in 3.4.44, 3.5.30 and 3.6.11: its owner, unless it is root, cannot end it any more."""
    lease = await place.control.grant()
    await place.node.txn([], [Put(f"{OWN}s/c1", b"", lease)])
    await place.control.revoke(lease)


async def test_not_refused_the_names_of_keys_with_a_lease_are_told(place: AtEtcd) -> None:
    lease = await place.control.grant()
    await place.control.txn([], [Put(keys.leader("controller"), b"kept", lease)])
    listed = await place.node.send("etcdserverpb.Lease/LeaseLeases")
    assert varint(lease) in listed
    told = await place.node.send("etcdserverpb.Lease/LeaseTimeToLive", b"\x08" + varint(lease) + b"\x10\x01")
    assert keys.leader("controller").encode() in told
    assert b"kept" not in told
    await place.control.txn([], [Put(keys.leader("controller"), b"kept")])


async def test_not_refused_leases_of_others_are_kept_alive(place: AtEtcd) -> None:
    lease = await place.control.grant()
    stream = place.node.channel.stream_stream(
        "/etcdserverpb.Lease/LeaseKeepAlive",
        request_serializer=pb.LeaseKeepAliveRequest.SerializeToString,
        response_deserializer=pb.LeaseKeepAliveResponse.FromString,
    )(timeout=10)
    await stream.write(pb.LeaseKeepAliveRequest(ID=lease))
    assert (await stream.read()).TTL == 600
    stream.cancel()


async def test_not_refused_a_lease_without_keys_is_ended(place: AtEtcd) -> None:
    await place.node.revoke(await place.control.grant())


async def test_not_refused_history_is_compacted(place: AtEtcd) -> None:
    now = (await place.control.txn([], [Put("/other", b"kept")])).header.revision
    await place.node.unary("KV/Compact", pb.CompactionRequest(revision=now), pb.CompactionResponse)
    assert (await place.control.range(b"/other")).kvs[0].value == b"kept"


@pytest.mark.parametrize(("alarm", "told"), [(1, "database space exceeded"), (2, "corrupt cluster")])
async def test_not_refused_alarms_stop_all_writes_until_they_are_disarmed(place: AtEtcd, alarm: int, told: str) -> None:
    await place.node.send("etcdserverpb.Maintenance/Alarm", bytes([0x08, 1, 0x18, alarm]))
    with pytest.raises(grpc.aio.AioRpcError, match=told):
        await place.control.txn([], [Put("/other", b"x")])
    assert (await place.control.range(b"/other")).kvs[0].value == b"kept"
    await place.control.send("etcdserverpb.Maintenance/Alarm", bytes([0x08, 2, 0x18, alarm]))
    await place.control.txn([], [Put("/other", b"kept")])


async def test_not_refused_the_members_are_told(place: AtEtcd) -> None:
    assert b"https://127.0.0.1" in await place.node.send("etcdserverpb.Cluster/MemberList")


async def test_not_refused_a_watch_that_was_open_goes_on_after_the_removal(passing: AtEtcd) -> None:
    stream, made = await passing.node.watch(b"/zun/in/n1/", b"/zun/in/n10")
    assert made.created
    assert not made.canceled
    await passing.accounts.take_all("n1")
    await passing.control.txn([], [Put(keys.inbox("n1", "c2"), b"for the next node n1")])
    seen = await stream.read()
    assert seen.events[0].kv.value == b"for the next node n1"
    stream.cancel()
    _, again = await passing.node.watch(b"/zun/in/n1/", b"/zun/in/n10")
    assert again.canceled


async def test_not_refused_a_removed_node_keeps_what_needs_no_rights(passing: AtEtcd) -> None:
    await passing.accounts.take_all("n1")
    assert await passing.node.grant()
    assert await passing.node.send("etcdserverpb.Cluster/MemberList")
