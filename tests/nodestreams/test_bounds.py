# SPDX-License-Identifier: Apache-2.0
"""Much data, slow readers, many streams: memory stays bounded, and nobody waits for another."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from support.live_nodes import AgentNode, ScriptedNode
from support.standing_still import pouring, standstill
from support.stream_pair import QUICK, drained, pair, until
from support.stream_process import LINE, MIB, PIECE, Memory, NodeProcess, node_process
from zun.base.clock import SystemClock
from zun.drivers.runtime.types import Channel, Chunk, LogQuery
from zun.model.errors import Unavailable
from zun.nodestreams.channels import Channels
from zun.nodestreams.client import RemoteNode
from zun.nodestreams.security import PlainClient
from zun.services.nodelive_contract import PATIENCE_SECONDS, soon

ROOM = 32 * MIB
"""What a stream may take of either process, whatever flows through it: its windows and buffers, and what allocators keep."""

FOLLOW = LogQuery(follow=True)


class Far:
    """A node in another process."""

    def __init__(self, process: NodeProcess, channels: Channels) -> None:
        self.process = process
        self.node = RemoteNode("n1", process.address, channels, call_seconds=30)

    async def standstill(self) -> int:
        """How many bytes the node has made, once it makes no more."""

        async def made() -> int:
            return (await self.node.stats("x")).memory_bytes

        return await standstill(made)


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    channels = Channels(PlainClient(), QUICK, SystemClock())
    with node_process() as process:
        yield Far(process, channels)
        await channels.close()


async def test_a_reader_that_stops_stops_the_node_and_fills_nobodys_memory(far: Far) -> None:
    async with far.node.logs("pieces-1", LogQuery()) as warming:
        assert [chunk async for chunk in warming]
    here, there = Memory(os.getpid()), Memory(far.process.pid)
    async with far.node.logs("pieces-200", LogQuery()) as chunks:
        got = len((await anext(chunks)).data)
        assert await far.standstill() < 4 * MIB
        async with far.node.logs("pieces-20", LogQuery()) as others:
            assert sum([len(chunk.data) async for chunk in others]) == 20 * MIB
        async for chunk in chunks:
            got += len(chunk.data)
    assert got == 200 * MIB
    assert here.grown() < ROOM
    assert there.grown() < ROOM


async def test_a_log_of_short_lines_comes_whole_and_in_order(far: Far) -> None:
    digest, got = hashlib.sha256(), 0
    async with far.node.logs("lines-20", LogQuery()) as chunks:
        async for chunk in chunks:
            digest.update(chunk.data)
            got += len(chunk.data)
    assert got == 20 * MIB // len(LINE) * len(LINE)
    assert digest.digest() == hashlib.sha256(LINE * (got // len(LINE))).digest()


async def test_archives_of_hundreds_of_megabytes_flow_both_ways_with_little_memory(far: Far) -> None:
    size = 200 * MIB

    async def source() -> AsyncIterator[bytes]:
        for _ in range(size // len(PIECE)):
            yield PIECE

    await far.node.put_archive("x", "/", _first(source(), 1))
    here, there = Memory(os.getpid()), Memory(far.process.pid)
    await far.node.put_archive("x", "/", source())
    assert (await far.node.stats("x")).memory_limit_bytes == size + len(PIECE)
    async with far.node.get_archive("x", "/200") as (stat, data):
        got = sum([len(piece) async for piece in data])
    assert stat.size == got == size
    assert here.grown() < ROOM
    assert there.grown() < ROOM


async def test_two_hundred_followers_on_one_node_all_hear_and_none_is_in_the_way() -> None:
    node = await AgentNode().open()
    uuids = [await node.run(["cat"]) for _ in range(4)]
    async with pair(node.live) as made, AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(made.far.logs(uuid, FOLLOW)) for uuid in uuids for _ in range(50)]
        assert made.server.admission.streams == 200
        for uuid in uuids:
            node.container(uuid).write_out(Channel.STDOUT, uuid.encode() + b"\n")
        heard = await asyncio.gather(*(anext(follower) for follower in followers))
        assert [chunk.data.decode().strip() for chunk in heard] == [uuid for uuid in uuids for _ in range(50)]
        assert (await made.far.stats(uuids[0])).memory_bytes
        assert len(made.channels) == 1, "one connection carries them all"
        await stack.aclose()
        await soon(node)
        assert made.server.admission.streams == 0


async def test_readers_that_stop_are_in_nobodys_way(far: Far) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(50):
            await anext(await stack.enter_async_context(far.node.logs("pieces-200", LogQuery())))
        async with far.node.logs("pieces-20", LogQuery()) as others:
            assert sum([len(chunk.data) async for chunk in others]) == 20 * MIB
        await far.node.put_archive("x", "/", _first(_endless(), 100))
        assert (await far.node.stats("x")).memory_limit_bytes == 100 * len(PIECE)


async def test_a_process_that_takes_no_input_stops_its_writer_and_nobody_else() -> None:
    node = ScriptedNode()

    async def deaf(*_: object) -> int:
        await asyncio.get_running_loop().create_future()
        return 0

    node.node.main = deaf
    async with pair(node.live) as made:
        async with made.far.attach(node.running) as session, pouring(session.write) as written:
            assert await written.standstill() < 4 * MIB
            assert (await made.far.stats(node.running)).memory_bytes
        await soon(node)


async def test_a_node_refuses_more_streams_than_it_may_serve_and_one_container_cannot_have_them_all() -> None:
    node = ScriptedNode()
    async with pair(node.live, most_streams=5, most_streams_of_container=3) as made, AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(made.far.logs(node.running, FOLLOW))
        for context in (made.far.logs(node.running, FOLLOW), made.far.attach(node.running)):
            with pytest.raises(Unavailable, match=f"{node.running} has 3 open streams"):
                async with context:
                    raise AssertionError("it opened")
        for _ in range(2):
            await stack.enter_async_context(made.far.logs(node.other, FOLLOW))
        with pytest.raises(Unavailable, match="serves 5 streams"):
            async with made.far.attach(node.other):
                raise AssertionError("it opened")
        assert (await made.far.stats(node.running)).memory_bytes, "short calls are counted apart"
        await stack.aclose()
        await soon(node)
        async with made.far.logs(node.running, FOLLOW) as chunks:
            assert await anext(chunks) == Chunk(Channel.STDOUT, b"kept\n")


async def test_a_node_refuses_more_calls_than_it_may_answer_at_once() -> None:
    node = ScriptedNode()
    node.node.hanging = True
    async with pair(node.live, most_calls=3) as made:
        waiting = [asyncio.create_task(made.far.stats(node.running)) for _ in range(3)]
        await until(lambda: len(node.node.asked) == 3)
        with pytest.raises(Unavailable, match="answers 3 calls"):
            await made.far.stats(node.running)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        node.node.hanging = False
        await _answers(made.far, node.running)


async def test_a_flood_of_calls_is_turned_away_and_the_node_goes_on() -> None:
    node = ScriptedNode()
    async with pair(node.live, most_calls=5, most_streams=5) as made:
        found = await asyncio.gather(*(made.far.stats(node.running) for _ in range(2000)), return_exceptions=True)
        refused = [each for each in found if isinstance(each, BaseException)]
        assert all(isinstance(each, Unavailable) for each in refused)
        await _answers(made.far, node.running)


async def test_who_follows_a_frozen_node_is_told_and_a_killed_node_is_told_too(far: Far) -> None:
    with node_process() as other:
        channels = Channels(PlainClient(), QUICK, SystemClock())
        beside = RemoteNode("n2", other.address, channels, call_seconds=30)
        async with (
            beside.logs("pieces-200", LogQuery()) as others,
            far.node.logs("pieces-200", LogQuery()) as chunks,
        ):
            await anext(chunks)
            far.process.freeze()
            async with asyncio.timeout(PATIENCE_SECONDS):
                with pytest.raises(Unavailable, match="n1"):
                    await drained(chunks)
            far.process.thaw()
            await _answers(far.node, "x")
            assert (await anext(others)).data
            other.kill()
            async with asyncio.timeout(PATIENCE_SECONDS):
                with pytest.raises(Unavailable, match="n2"):
                    await drained(others)
        assert (await far.node.stats("x")).memory_bytes
        await channels.close()


async def _answers(node: RemoteNode, uuid: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await node.stats(uuid)
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield PIECE


async def _first(source: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield await anext(source)
