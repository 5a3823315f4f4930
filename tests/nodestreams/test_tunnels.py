# SPDX-License-Identifier: Apache-2.0
"""Connections to ports of containers on other machines: much data, slow ones, many, and what becomes of them when somebody is gone."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from support.live_nodes import AgentNode, ScriptedNode
from support.standing_still import pouring, standstill
from support.stream_pair import QUICK, pair
from support.stream_process import MIB, PIECE, Memory, NodeProcess, node_process
from zun.agent.live import MOST_TUNNELS
from zun.base.clock import SystemClock
from zun.drivers.runtime.base import Tunnel
from zun.drivers.runtime.types import ExecRequest
from zun.model.errors import Invalid, Unavailable
from zun.nodestreams.channels import Channels
from zun.nodestreams.client import RemoteNode
from zun.nodestreams.security import PlainClient
from zun.services.nodelive_contract import PATIENCE_SECONDS, soon
from zun.services.nodelive_fake import FakeSession

ROOM = 32 * MIB
SAYS, DEAF, TAKES = 80, 1, 9


class Far:
    """A node in another process."""

    def __init__(self, process: NodeProcess, channels: Channels) -> None:
        self.process = process
        self.node = RemoteNode("n1", process.address, channels, call_seconds=30)

    async def moved(self) -> int:
        """How many bytes the node has made and taken."""
        stats = await self.node.stats("x")
        return stats.memory_bytes + stats.memory_limit_bytes

    async def standstill(self) -> int:
        """The same, once it becomes no more."""
        return await standstill(self.moved)

    async def nothing_open(self) -> None:
        """Wait until the node has noticed that all have left."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.node.stats("x")).block_read_bytes:  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(0.01)


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    channels = Channels(PlainClient(), QUICK, SystemClock())
    with node_process() as process:
        yield Far(process, channels)
        await channels.close()


async def size_of(tunnel: Tunnel) -> int:
    """How much the other side says until its end."""
    size = 0
    while (data := await tunnel.read()) is not None:
        size += len(data)
    return size


async def flood(tunnel: Tunnel) -> None:
    """Say more and more."""
    while True:
        await tunnel.write(PIECE)


async def test_a_slow_reader_stops_the_node_and_fills_nobodys_memory(far: Far) -> None:
    async with far.node.port_forward("1", SAYS) as warming:
        assert await size_of(warming) == MIB
    here, there = Memory(os.getpid()), Memory(far.process.pid)
    async with far.node.port_forward("200", SAYS) as tunnel:
        got = len(await tunnel.read() or b"")
        assert await far.standstill() < 4 * MIB
        async with far.node.port_forward("20", SAYS) as other:
            assert await size_of(other) == 20 * MIB
        assert got + await size_of(tunnel) == 200 * MIB
    assert here.grown() < ROOM
    assert there.grown() < ROOM
    await far.nothing_open()


async def test_a_container_that_takes_nothing_stops_its_writer_and_nobody_else(far: Far) -> None:
    async with far.node.port_forward("1", DEAF) as tunnel, pouring(tunnel.write) as written:
        assert await written.standstill() < 4 * MIB
        async with far.node.port_forward("1", TAKES) as other:
            for _ in range(320):
                await other.write(PIECE)
            await other.end()
            assert await other.read() is None
        assert await far.moved() == 320 * len(PIECE)
    await far.nothing_open()


async def test_who_leaves_a_connection_that_stands_still_frees_it(far: Far) -> None:
    async with AsyncExitStack() as stack:
        for port in (SAYS, DEAF, TAKES):
            await stack.enter_async_context(far.node.port_forward("200", port))
    await far.nothing_open()


async def test_a_node_that_is_killed_breaks_its_connections(far: Far) -> None:
    async with far.node.port_forward("200", TAKES) as tunnel:
        reading = asyncio.create_task(tunnel.read())
        await tunnel.write(b"hello")
        far.process.kill()
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(Unavailable, match="n1"):
                await reading
            with pytest.raises(Unavailable, match="n1"):
                await flood(tunnel)


async def test_what_the_container_still_says_comes_though_it_takes_no_more() -> None:
    node = ScriptedNode()
    refusing = asyncio.Event()

    async def refuses(session: FakeSession, _: ExecRequest | None) -> int:
        await session.received()
        session.ended = True  # it takes no more
        await refusing.wait()
        session.ended = False
        await session.emit(b"too much")
        return 0

    node.node.listening[80] = refuses
    async with pair(node.live) as made:
        async with made.far.port_forward(node.running, 80) as tunnel:
            for _ in range(50):
                await tunnel.write(PIECE)
            refusing.set()
            assert await tunnel.read() == b"too much"
            assert await tunnel.read() is None
        await soon(node)


async def test_a_container_has_so_many_connections_and_no_more() -> None:
    node = await AgentNode().open()
    async with AsyncExitStack() as stack:
        for _ in range(MOST_TUNNELS):
            await stack.enter_async_context(node.live.port_forward(node.listener, node.listening))
        with pytest.raises(Unavailable, match=f"{MOST_TUNNELS} connections"):
            async with node.live.port_forward(node.listener, node.listening):
                raise AssertionError("it opened")
    async with node.live.port_forward(node.listener, node.listening) as tunnel:
        await tunnel.write(b"room again")
        assert await tunnel.read() == b"room again"


async def test_connections_count_among_the_streams_of_a_container() -> None:
    node = ScriptedNode()
    async with pair(node.live, most_streams_of_container=2) as made, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(made.far.port_forward(node.running, node.listening))
        with pytest.raises(Unavailable, match="2 open streams"):
            async with made.far.port_forward(node.running, node.listening):
                raise AssertionError("it opened")


async def test_a_number_that_is_no_port_is_refused_by_the_node_itself() -> None:
    node = await AgentNode().open()
    async with pair(node.live) as made:
        for port in (0, 65536, 2**32 - 1):
            with pytest.raises(Invalid, match="no port"):
                async with made.far.port_forward(node.listener, port):
                    raise AssertionError("it opened")
