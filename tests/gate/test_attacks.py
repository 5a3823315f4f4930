# SPDX-License-Identifier: Apache-2.0
"""A captured node at the gate: all that etcd cannot refuse is refused here, too."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from support.gate import PATIENCE_SECONDS, Gate, gate_before
from support.node_attacks import ALL, OTHER, OWN, USER, NodeAttacks, Place
from support.raw_etcd import OPEN, Raw, nested, refused, varint, watch_refused
from zun.base.clock import ManualClock, SystemClock
from zun.gate.calls import PART_KEYS
from zun.gate.leases import MOST_LEASES
from zun.gate.options import GateOptions
from zun.gate.requests import MAX_READS
from zun.gate.roster import Roster
from zun.model.subjects import CONTROL
from zun.pki.authority import Authority, utc
from zun.store import keys
from zun.store.etcd import rpc_pb2 as pb
from zun.store.interface import DeletePrefix, Get, KeyValue, Op, Put
from zun.store.memory import MemoryStore


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    store = MemoryStore(SystemClock())
    async with gate_before(store, tmp_path) as made:
        await store.transact([], [Put(key, b"kept") for key in ALL])
        await made.let_in("n1", USER)
        await made.let_in("n10", OTHER)
        yield made
    await store.close()


@pytest.fixture
async def place(gate: Gate) -> AsyncIterator[Place]:
    async with gate.channel(USER) as channel:
        yield Place(gate.store, Raw(channel))


class TestGate(NodeAttacks):
    """See `support.node_attacks`."""


async def test_nothing_is_done_within_a_nested_transaction(place: Place) -> None:
    key = keys.leader("controller")
    ops: list[list[Op]] = [[Get(key)], [Put(key, b"evil")], [DeletePrefix("/zun/v/lead/")], [Put(f"{OWN}s/c1", b"")]]
    for inner in ops:
        await refused(place.node.send("etcdserverpb.KV/Txn", nested(inner)))
    assert await place.value(key) == b"kept"


async def test_leases_of_others_are_not_used_kept_alive_or_ended(place: Place) -> None:
    lease = await place.vault.grant_lease(600)
    await refused(place.node.txn([], [Put(f"{OWN}s/c1", b"", lease)]))
    await refused(place.node.revoke(lease))
    assert await place.node.keep_alive(lease) == 0
    await place.vault.transact([], [Put(keys.node_alive("n10"), b"{}", lease)])
    assert await place.node.keep_alive(lease) == 0
    await refused(place.node.revoke(lease))


@pytest.mark.parametrize(
    "name",
    [
        "Lease/LeaseLeases",
        "Lease/LeaseTimeToLive",
        "KV/Compact",
        "KV/Put",
        "Maintenance/Alarm",
        "Maintenance/MoveLeader",
        "Cluster/MemberList",
        "Auth/Authenticate",
        "Nothing/AtAll",
    ],
)
async def test_what_no_node_needs_is_not_there(place: Place, name: str) -> None:
    await refused(place.node.send(f"etcdserverpb.{name}", b"\x08\x01"))


FIELDS_THAT_ASK_FOR_MORE: dict[str, tuple[str, bytes]] = {
    "read something newer": ("KV/Range", b"\x0a" + varint(len(OWN)) + OWN.encode() + b"\x50\x01"),
    "a key's value before a write": ("KV/Txn", b"\x12\x15\x12\x13\x0a\x0f/zun/v/out/n1/x\x20\x01"),
    "an operation of a later version": ("KV/Txn", b"\x12\x02\x2a\x00"),
    "an operation that is none": ("KV/Txn", b"\x12\x00"),
    "another comparison": ("KV/Txn", b"\x0a\x15\x08\x01\x10\x02\x1a\x0f/zun/v/out/n1/x"),
    "a range of comparisons": ("KV/Txn", b"\x0a\x17\x10\x02\x1a\x0f/zun/v/out/n1/x\x82\x04\x01\x00"),
}


@pytest.mark.parametrize("what", FIELDS_THAT_ASK_FOR_MORE)
async def test_what_is_not_understood_is_not_done(place: Place, what: str) -> None:
    name, body = FIELDS_THAT_ASK_FOR_MORE[what]
    await refused(place.node.send(f"etcdserverpb.{name}", body))


@pytest.mark.parametrize("begin", [b"/zun/", b"/zun/v/out/n1/s", b"/zun/v/out/n10"])
async def test_a_range_that_begins_elsewhere_is_not_narrowed_but_refused(place: Place, begin: bytes) -> None:
    end = b"/zun/v/out/n10"
    deletion = pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=begin, range_end=end))
    await refused(place.node.unary("KV/Txn", pb.TxnRequest(success=[deletion]), pb.TxnResponse))
    await refused(place.node.range(begin, end))
    await watch_refused(place.node, begin, end)


@pytest.mark.parametrize("ttl", [0, -1, 100_000_000])
async def test_a_lease_of_any_length_is_not_granted(place: Place, ttl: int) -> None:
    await refused(place.node.unary("Lease/LeaseGrant", pb.LeaseGrantRequest(TTL=ttl), pb.LeaseGrantResponse))


async def test_a_node_has_few_leases(place: Place) -> None:
    leases = [await place.node.grant() for _ in range(MOST_LEASES + 1)]
    assert await place.node.keep_alive(leases[0]) == 0
    assert await place.node.keep_alive(leases[-1]) == 600


async def test_a_node_cannot_fill_the_gate_with_what_it_wrote(place: Place) -> None:
    for number in range(120):
        await place.node.txn([], [Put(f"{OWN}s/{number:03}", bytes(200_000))])
    page = await place.node.range(OWN.encode(), b"/zun/v/out/n10", limit=1000)
    assert (len(page.kvs) <= 2 * PART_KEYS, page.more) == (True, True)
    await refused(place.node.txn([], [Get(f"{OWN}s/{number:03}") for number in range(MAX_READS + 1)]))
    await watch_refused(place.node, OWN.encode(), b"/zun/v/out/n10")  # it needs no history of its own keys


@pytest.mark.parametrize("begin", [b"/zun/in/n1/", OWN.encode(), b"/zun/blob/n1/"])
async def test_a_watch_has_an_end(place: Place, begin: bytes) -> None:
    for end in (OPEN, b"\xff"):
        await watch_refused(place.node, begin, end)


@pytest.mark.parametrize("name", [CONTROL, "root", "node-n1", "node-n1@00000002", "node-n2@00000001", "etcd-e1", "x"])
async def test_whoever_is_no_node_is_refused(gate: Gate, name: str) -> None:
    async with gate.channel(name) as channel:
        raw = Raw(channel)
        await refused(raw.range(keys.node_alive("n1").encode()))
        await watch_refused(raw, b"/zun/in/n1/", b"/zun/in/n10")


async def test_a_stranger_costs_the_store_one_look_a_second(gate: Gate) -> None:
    class Counting(MemoryStore):
        looked = 0

        async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
            Counting.looked += 1
            return await super().get(key, revision=revision)

    roster = Roster(Counting(ManualClock()), ManualClock())
    for _ in range(50):
        assert await roster.node_of("node-n1@00000009") is None
    assert Counting.looked == 1


async def test_the_certificate_of_another_authority_is_not_heard(gate: Gate, capfd: pytest.CaptureFixture[str]) -> None:
    other = Authority.create("Test CA", utc(time.time()))
    async with gate.channel(USER, authority=other) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await Raw(channel).range(OWN.encode())
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    capfd.readouterr()  # the gRPC library complains on standard error


async def test_a_removed_node_is_out_at_once_with_what_it_had_open(gate: Gate) -> None:
    async with gate.channel(USER) as channel:
        raw = Raw(channel)
        lease = await raw.grant()
        stream, made = await raw.watch(b"/zun/in/n1/", b"/zun/in/n10")
        assert made.created
        await gate.remove("n1")
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await asyncio.wait_for(stream.read(), PATIENCE_SECONDS)
        assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED
        await refused(raw.range(OWN.encode()))
        await refused(raw.revoke(lease))
        await gate.let_in("n1", "node-n1@00000002")  # another machine of that name
        await refused(raw.range(OWN.encode()))


async def test_a_node_that_was_just_let_in_is_known(gate: Gate) -> None:
    for number in range(20):
        user = f"node-m{number}@00000001"
        async with gate.channel(user) as channel:
            await refused(Raw(channel).range(keys.node_alive(f"m{number}").encode())) if number == 0 else None
            if number:
                await gate.let_in(f"m{number}", user)
                assert not (await Raw(channel).range(keys.node_alive(f"m{number}").encode())).kvs


async def test_a_node_makes_so_many_calls_at_a_time_and_no_more(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    async with gate_before(store, tmp_path, options=GateOptions(port=0, most_calls=8)) as gate:
        await gate.let_in("n1", USER)
        await gate.let_in("n2", "node-n2@00000001")
        async with gate.channel(USER) as channel, gate.channel("node-n2@00000001") as other:
            raw = Raw(channel)
            streams = [(await raw.watch(b"/zun/in/n1/", b"/zun/in/n10"))[0] for _ in range(8)]
            with pytest.raises(grpc.aio.AioRpcError, match="too many requests"):
                await raw.range(OWN.encode())
            await Raw(other).range(keys.node_alive("n2").encode())  # nobody else suffers
            for stream in streams:
                stream.cancel()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    try:
                        await raw.range(OWN.encode())
                        break
                    except grpc.aio.AioRpcError:
                        await asyncio.sleep(0.01)
    await store.close()


async def test_a_refusal_is_logged_once_a_minute(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        await refused(place.node.range(keys.leader("controller").encode()))
    complaints = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(complaints) == 1
    assert USER in complaints[0].getMessage()
