# SPDX-License-Identifier: Apache-2.0
"""A stream server's own life: it starts, or says why not, and stops."""

import logging

import pytest

from support.live_nodes import ScriptedNode
from support.stream_pair import LOOPBACK, QUICK, pair
from zun.model.errors import Invalid, Unavailable
from zun.nodestreams.addresses import Address, own_address_towards, told_address
from zun.nodestreams.security import PlainServer
from zun.nodestreams.server import Strangers, StreamServer


def server() -> StreamServer:
    return StreamServer("n1", PlainServer(LOOPBACK), QUICK)


async def test_a_port_that_is_taken_is_said_so() -> None:
    first, second = server(), server()
    taken = first.listen(LOOPBACK)
    with pytest.raises(Unavailable, match=f"{taken}.*stream_listen"):
        second.listen(taken)
    for each in (first, second):
        await each.stop()


async def test_a_server_that_never_served_stops_too_and_twice_is_no_harm() -> None:
    listening = server()
    listening.listen(LOOPBACK)
    await listening.stop()
    await listening.stop()
    async with pair(ScriptedNode().live) as made:
        await made.server.stop()
        await made.server.stop()


async def test_what_is_turned_away_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    strangers = Strangers()
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            strangers.seen("ipv4:192.0.2.1:1", "node-n2")
    assert len(caplog.records) == 1
    assert "node-n2" in caplog.text


def test_a_machines_own_address_is_the_one_towards_its_peer() -> None:
    assert own_address_towards(Address("127.0.0.1", 2379)) == "127.0.0.1"
    assert own_address_towards(Address("::1", 2379)) == "::1"
    with pytest.raises(Unavailable, match="stream_address"):
        own_address_towards(Address("no-such-host.invalid", 1))


def test_a_node_tells_where_it_listens_unless_an_operator_knows_better() -> None:
    def told(listening: Address, wished: str = "") -> str:
        return str(told_address(listening, wished=wished, peer="127.0.0.1:2379"))

    assert told(Address("10.0.0.5", 9518)) == "10.0.0.5:9518"
    assert told(Address("0.0.0.0", 9518)) == "127.0.0.1:9518"
    assert told(Address("::", 9518)) == "127.0.0.1:9518"
    assert told(Address("0.0.0.0", 9518), "nat.example:19518") == "nat.example:19518"
    with pytest.raises(Invalid, match="no address"):
        told(Address("0.0.0.0", 9518), "nat.example")


def test_a_place_beyond_this_machine_needs_a_certificate() -> None:
    with pytest.raises(Invalid, match="token"):
        PlainServer(Address("10.0.0.1", 9518))
