# SPDX-License-Identifier: Apache-2.0
"""What somebody tries who owns a node, with the node's certificate and below our client: a suite for whatever nodes speak to.

The fixture `place` is to have a node n1 (user `USER`) and a node n10, and the keys below with the value `kept`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc.aio
import pytest

from support.raw_etcd import ADMINISTRATION, OPEN, Raw, refused, watch_refused
from zun.store import keys
from zun.store.etcd import rpc_pb2 as pb
from zun.store.interface import (
    Compare,
    CompareField,
    Delete,
    DeletePrefix,
    Get,
    KeyValue,
    Op,
    Put,
    TxnResult,
    unchanged,
)

USER, OTHER = "node-n1@00000001", "node-n10@00000001"
OWN = keys.node_prefix("n1")
SECRETS = (
    keys.container("c1"),
    keys.place("c1"),
    keys.node("n1"),
    keys.node("n10"),
    keys.join_token("t1"),
    keys.leader("controller"),
    keys.inbox("n10", "c1"),
    keys.blob("n10", "c1", 0),
    keys.observation("n10", "c1"),
    keys.node_alive("n10"),
    keys.stage("c1", 0),
    "/zun/v/out/n1",  # one character short of its own
    "/zun/v/out/n1.",
    "/zun/in/n",
    keys.SCHEMA + "s",
    "/other",
    "\x00",
    "\xff",
)
READ_ONLY = (keys.inbox("n1", "c1"), keys.node_certificate("n1"), keys.blob("n1", "c1", 0), keys.SCHEMA)


ALL = (*SECRETS, *READ_ONLY, keys.node_alive("n1"))


class Vault(Protocol):
    """The control plane's side of the store, as far as the suite uses it."""

    async def get(self, key: str) -> KeyValue | None: ...

    async def transact(self, compares: Sequence[Compare], success: Sequence[Op]) -> TxnResult: ...

    async def grant_lease(self, ttl_seconds: int) -> int: ...


@dataclass
class Place:
    """The control plane's side of the store, and the node's connection to whatever it speaks to."""

    vault: Vault
    node: Raw

    async def value(self, key: str) -> bytes:
        """What is there."""
        found = await self.vault.get(key)
        assert found is not None
        return found.value


class NodeAttacks:
    """The suite. `bounded_watches`: also a watch without end is refused."""

    bounded_watches = True

    async def test_its_own_keys_are_a_nodes_to_use(self, place: Place) -> None:
        alive = keys.node_alive("n1")
        lease = await place.node.grant()
        await place.node.txn([], [Put(alive, b"{}", lease), Put(f"{OWN}s/c1", b"seen"), Get(alive)])
        await place.node.txn([unchanged(f"{OWN}e/x", 0)], [DeletePrefix(f"{OWN}s/")])
        assert (await place.node.range(OWN.encode(), b"/zun/v/out/n10")).kvs
        await place.node.revoke(lease)
        for key in READ_ONLY:
            assert (await place.node.range(key.encode())).kvs[0].value == b"kept"

    @pytest.mark.parametrize("key", SECRETS)
    async def test_no_other_key_is_read_compared_or_written(self, place: Place, key: str) -> None:
        node, raw, before = place.node, key.encode(), await place.value(key)
        await refused(node.range(raw))
        await refused(node.range(raw, revision=1))
        await refused(node.range(raw, keys_only=True))
        await refused(node.txn([], [Get(key)]))
        await refused(node.txn([], [Put(key, b"x")]))
        await refused(node.txn([], [Delete(key)]))
        await refused(node.txn([unchanged(key, 0)], []))
        await refused(node.txn([Compare(key, CompareField.VALUE, before)], [Put(f"{OWN}guessed", b"")]))
        await refused(node.txn([unchanged(f"{OWN}none", 7)], [], [Put(key, b"x")]))
        await refused(node.txn([], [Put(f"{OWN}own", b""), Delete(key)]))
        await watch_refused(node, raw, b"")
        assert await place.value(key) == before

    @pytest.mark.parametrize("key", READ_ONLY)
    async def test_what_it_may_read_it_may_not_write(self, place: Place, key: str) -> None:
        for op in (Put(key, b"x"), Delete(key), DeletePrefix(key)):
            await refused(place.node.txn([], [op]))

    @pytest.mark.parametrize(
        ("begin", "end"),
        [
            (OPEN, OPEN),  # everything
            (OWN.encode(), OPEN),  # everything from its own on
            (OWN.encode(), b"/zun/v/out/n2"),
            (OWN.encode(), b"/zun/v/out/n10\x00"),
            (b"/zun/v/out/n1", b"/zun/v/out/n2"),
            (b"/zun/v/out/", b"/zun/v/out0"),
            (b"/zun/in/n1", b"/zun/in/n2"),
            (b"/zun/", b"/zun0"),
        ],
    )
    async def test_no_range_reaches_over_the_edge(self, place: Place, begin: bytes, end: bytes) -> None:
        await refused(place.node.range(begin, end))
        await refused(place.node.range(begin, end, limit=1, keys_only=True))
        deletion = pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=begin, range_end=end))
        await refused(place.node.unary("KV/Txn", pb.TxnRequest(success=[deletion]), pb.TxnResponse))
        await refused(
            place.node.unary("KV/DeleteRange", pb.DeleteRangeRequest(key=begin, range_end=end), pb.PutResponse)
        )
        if self.bounded_watches or end != OPEN:
            await watch_refused(place.node, begin, end)

    async def test_other_peoples_leases_cannot_be_ended(self, place: Place) -> None:
        lease = await place.vault.grant_lease(600)
        await place.vault.transact([], [Put(keys.leader("controller"), b"kept", lease)])
        await refused(place.node.revoke(lease))
        assert await place.value(keys.leader("controller")) == b"kept"
        await place.vault.transact([], [Put(keys.leader("controller"), b"kept")])

    @pytest.mark.parametrize("what", ADMINISTRATION)
    async def test_a_node_administers_nothing(self, place: Place, what: str) -> None:
        await refused(ADMINISTRATION[what](place.node))

    @pytest.mark.parametrize(
        "metadata", [("token", "zun-control"), ("authorization", "zun-control.1"), ("grpcgateway-accept", "x")]
    )
    async def test_a_node_cannot_say_that_it_is_another(self, place: Place, metadata: tuple[str, str]) -> None:
        call = place.node.channel.unary_unary(
            "/etcdserverpb.KV/Range",
            request_serializer=pb.RangeRequest.SerializeToString,
            response_deserializer=pb.RangeResponse.FromString,
        )
        with pytest.raises(grpc.aio.AioRpcError):
            await call(pb.RangeRequest(key=keys.leader("controller").encode()), metadata=(metadata,), timeout=10)
