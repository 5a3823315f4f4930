# SPDX-License-Identifier: Apache-2.0
"""Nodes are found where the view says they are, and their connections are looked after."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager

import grpc.aio
import pytest

from support.live_nodes import ScriptedNode
from support.stream_pair import LOOPBACK, QUICK, Pair, pair
from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.drivers.runtime.types import LogQuery
from zun.model.errors import Invalid, Unavailable
from zun.model.records import NodeRecord
from zun.nodestreams.addresses import Address, parse_address
from zun.nodestreams.channels import Channels
from zun.nodestreams.directory import RemoteDirectory
from zun.nodestreams.options import NodeStreamOptions
from zun.nodestreams.protocol import Arguments
from zun.nodestreams.security import PlainClient, PlainServer
from zun.nodestreams.server import StreamServer
from zun.services.nodelive_contract import PATIENCE_SECONDS
from zun.store import keys
from zun.store.interface import Delete
from zun.store.memory import MemoryStore

FOLLOW = LogQuery(follow=True)


class Security(PlainClient):
    """Counts, and has a generation to be changed."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, Address]] = []
        self.now = 0

    def generation(self) -> int:
        return self.now

    def connect(self, node: str, address: Address, arguments: Arguments) -> grpc.aio.Channel:
        self.connected.append((node, address))
        return super().connect(node, address, arguments)


class Place:
    """A directory over a view, with real servers."""

    def __init__(self, world: World, clock: ManualClock, far: Pair, node: ScriptedNode) -> None:
        self.world = world
        self.clock = clock
        self.far = far
        self.node = node
        self.security = Security()
        self.channels = Channels(self.security, QUICK, clock)
        self.directory = RemoteDirectory(world.view, self.channels, call_seconds=30)

    async def node_at(self, name: str, address: str | None = None) -> None:
        """A node reports from there."""
        await self.world.node(name, stream_address=str(self.far.address) if address is None else address)

    async def ask(self, name: str) -> None:
        await self.directory.live(name).stats(self.node.running)


@pytest.fixture
async def at() -> AsyncIterator[Place]:
    clock, node = ManualClock(), ScriptedNode()
    store = MemoryStore(clock)
    async with world_on(store, clock) as world, pair(node.live) as far:
        place = Place(world, clock, far, node)
        yield place
        await place.channels.close()
    await store.close()


async def test_a_node_is_asked_where_it_says_it_is(at: Place) -> None:
    await at.node_at("n1")
    await at.ask("n1")
    assert at.security.connected == [("n1", at.far.address)]
    await at.ask("n1")
    assert len(at.security.connected) == 1


async def test_a_node_that_is_away_is_not_asked_and_the_reason_is_said(at: Place) -> None:
    await at.node_at("gone")
    await at.world.node_dies("gone")
    await at.node_at("silent", "")
    await at.node_at("down")
    await at.world.put(keys.node("down"), NodeRecord(node="down", number=1, created_at=0, forced_down=True))
    for name, words in {
        "unheard-of": "not part of this installation",
        "gone": "does not report",
        "silent": "has not said where",
        "down": "declared down",
    }.items():
        with pytest.raises(Unavailable, match=words) as raised:
            at.directory.live(name)
        assert name in raised.value.message
        assert raised.value.http_status == 503
    assert at.security.connected == []


@pytest.mark.parametrize(
    "address",
    ["unix:/run/docker.sock", "dns://10.0.0.1/x:1", "http://10.0.0.1:1", "10.0.0.1", ":1", "a b:1", "h:0", "h:99999", "h:1/x",
     "fd00::1:9518", "[fd00::1]", "[10.0.0.1]:1", "xds:///a:1", "h:1\n", "-h:1", "h:+1", "%00:1", "h" * 300 + ":1"],
)  # fmt: skip
async def test_what_a_captured_node_calls_an_address_is_an_address_or_nothing(at: Place, address: str) -> None:
    with pytest.raises(Invalid):
        parse_address(address)
    await at.node_at("n1", address)
    with pytest.raises(Unavailable, match="told a place"):
        at.directory.live("n1")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("10.0.0.5:9518", "ipv4:10.0.0.5:9518"),
        ("[fd00::5]:9518", "ipv6:[fd00::5]:9518"),
        ("node5.example:9518", "dns:///node5.example:9518"),
        ("localhost:1", "dns:///localhost:1"),
    ],
)
def test_addresses_are_read_and_written(text: str, target: str) -> None:
    address = parse_address(text)
    assert (str(address), address.target) == (text, target)


async def test_a_node_that_moved_is_asked_at_its_new_place_and_old_streams_end_by_themselves(at: Place) -> None:
    await at.node_at("n1")
    async with at.directory.live("n1").logs(at.node.running, FOLLOW) as chunks:
        await anext(chunks)
        async with pair(at.node.live) as elsewhere:
            await at.node_at("n1", str(elsewhere.address))
            await at.ask("n1")
            assert [address for _, address in at.security.connected] == [at.far.address, elsewhere.address]
            assert len(at.channels) == 2
            await at.channels.sweep(lambda _: True)
            assert len(at.channels) == 2, "a stream still uses the old one"
            assert (await anext(chunks)).data == b"oops\n"
    await at.channels.sweep(lambda _: True)
    assert len(at.channels) == 1


async def test_connections_that_nobody_uses_are_closed_and_used_ones_are_not(at: Place) -> None:
    running = asyncio.create_task(at.directory.run())
    for name in ("n1", "n2"):
        await at.node_at(name)
        await at.ask(name)
    async with at.directory.live("n2").logs(at.node.running, FOLLOW):
        await passes(at, QUICK.idle_seconds + 10, lambda: len(at.channels) == 1)
        await at.ask("n1")
        assert len(at.security.connected) == 3
    running.cancel()
    await asyncio.wait([running])
    assert len(at.channels) == 0
    with pytest.raises(Unavailable, match="stops"):
        await at.ask("n1")


async def test_a_node_that_is_removed_loses_its_connection_with_what_it_carries(at: Place) -> None:
    running = asyncio.create_task(at.directory.run())
    await at.node_at("n1")
    async with at.directory.live("n1").logs(at.node.running, FOLLOW) as chunks:
        for _ in range(2):
            await anext(chunks)
        await at.world.write(Delete(keys.node("n1")))
        ending = asyncio.ensure_future(anext(chunks))
        await passes(at, 10, ending.done)
        with pytest.raises(Unavailable):
            await ending
    running.cancel()
    await asyncio.wait([running])


async def test_the_number_of_connections_is_bounded_and_the_least_used_one_goes(at: Place) -> None:
    channels = Channels(at.security, NodeStreamOptions(most_nodes=2), at.clock)
    directory = RemoteDirectory(at.world.view, channels, call_seconds=30)
    for name in ("n1", "n2", "n3"):
        await at.node_at(name)
        await directory.live(name).stats(at.node.running)
        at.clock.advance(1)
        await channels.sweep(lambda _: True)
        assert len(channels) <= 2
    async with (
        directory.live("n2").logs(at.node.running, FOLLOW),
        directory.live("n3").logs(at.node.running, FOLLOW),
    ):
        with pytest.raises(Unavailable, match="connected to 2 nodes"):
            await directory.live("n1").stats(at.node.running)
    await directory.live("n1").stats(at.node.running)
    await channels.close()


async def test_what_is_told_of_a_request_reaches_the_node(at: Place) -> None:
    told: list[Mapping[str, str]] = []

    @contextmanager
    def around(metadata: Mapping[str, str]) -> Iterator[None]:
        told.append(metadata)
        yield

    server = StreamServer("n1", PlainServer(LOOPBACK), QUICK, around=around)
    await at.node_at("n1", str(server.listen(LOOPBACK)))
    await server.serve(at.node.live)
    directory = RemoteDirectory(
        at.world.view, at.channels, call_seconds=30, metadata=lambda: [("zun-request-id", "req-1")]
    )
    node = directory.live("n1")
    await node.stats(at.node.running)
    async with node.logs(at.node.running, FOLLOW), node.attach(at.node.running):
        assert [call["zun-request-id"] for call in told] == ["req-1"] * 3
    await at.channels.close()
    await server.stop()


async def passes(at: Place, seconds: float, condition: Callable[[], bool]) -> None:
    """Time passes until it is so."""
    at.clock.advance(seconds)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)
            at.clock.advance(0.1)
