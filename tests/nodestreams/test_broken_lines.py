# SPDX-License-Identifier: Apache-2.0
"""A node or an API server that vanishes: who waits for it is told within a bound, and nobody else notices."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from support.bad_line import BadLine
from support.live_nodes import ScriptedNode
from support.stream_pair import Pair, pair, until
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery
from zun.model.errors import Conflict, Timeout, Unavailable, ZunError
from zun.nodestreams.client import RemoteNode
from zun.services.nodelive_contract import PATIENCE_SECONDS, soon

FOLLOW = LogQuery(follow=True)


@dataclass
class Line:
    """A node that is reached over a line that can break, and beside it directly."""

    node: ScriptedNode
    pair: Pair
    line: BadLine
    far: RemoteNode
    beside: RemoteNode

    async def others_say(self, data: bytes) -> None:
        """The other container writes to its log."""
        await self.node.node.follow[self.node.other].put(Chunk(Channel.STDOUT, data))


@pytest.fixture
async def at() -> AsyncIterator[Line]:
    node = ScriptedNode()
    async with pair(node.live) as made:
        line = BadLine(made.address)
        async with line.open() as address:
            yield Line(node, made, line, made.node("n1", address), made.node("n2"))


async def test_a_follower_is_told_when_the_node_is_not_heard_of_any_more(at: Line) -> None:
    async with at.beside.logs(at.node.other, FOLLOW) as others:
        async with at.far.logs(at.node.running, FOLLOW) as chunks:
            await anext(chunks)
            await anext(chunks)
            at.line.go_dead()
            async with asyncio.timeout(PATIENCE_SECONDS):
                with pytest.raises(Unavailable, match="node n1"):
                    await anext(chunks)
        await at.others_say(b"more")
        assert await anext(others) == Chunk(Channel.STDOUT, b"more")


async def test_an_idle_follower_stays_for_long_when_the_line_is_good(at: Line) -> None:
    async with at.far.logs(at.node.running, FOLLOW) as chunks:
        await anext(chunks)
        await anext(chunks)
        waiting = asyncio.ensure_future(anext(chunks))
        done, _ = await asyncio.wait([waiting], timeout=3 * at.pair.options.keepalive_seconds)
        assert not done
        await at.node.say(b"more")
        assert await waiting == Chunk(Channel.STDOUT, b"more")


async def test_a_session_is_told_on_both_its_sides(at: Line) -> None:
    exec_id = await at.far.exec_create(at.node.running, ExecRequest(["echo"], stdin=True))
    async with at.far.exec_start(at.node.running, exec_id) as session:
        await session.write(b"hello")
        await session.read()
        at.line.go_dead()
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(Unavailable):
                await session.read()
            assert await session.read() is None
            with pytest.raises(Unavailable):
                await session.exit_code()
            with pytest.raises(Conflict):
                await session.write(b"x")
    await soon(at.node)


async def test_a_writer_that_waits_for_a_dead_node_is_let_go(at: Line) -> None:
    at.node.node.main = _deaf
    async with at.far.attach(at.node.running) as session:

        async def flood() -> None:
            while True:
                await session.write(b"x" * 65536)

        writing = asyncio.create_task(flood())
        at.line.go_dead()
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(Conflict):
                await writing


async def test_a_short_call_to_a_dead_node_fails_in_time_and_the_next_connects_anew(at: Line) -> None:
    await at.far.stats(at.node.running)
    at.line.go_dead()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(Unavailable):
            await at.far.stats(at.node.running)
        with pytest.raises((Unavailable, Timeout)):
            await at.far.stats(at.node.running)
    at.line.come_back()
    await _until_it_answers(at.far, at.node.running)


async def test_a_cut_line_is_told_and_the_node_lets_go(at: Line) -> None:
    async with at.far.logs(at.node.running, FOLLOW) as chunks:
        await anext(chunks)
        await anext(chunks)
        at.line.cut()
        with pytest.raises(Unavailable):
            await anext(chunks)
        await soon(at.node)
    await _until_it_answers(at.far, at.node.running)


async def test_the_node_lets_go_when_the_api_server_is_not_heard_of_any_more(at: Line) -> None:
    async with at.far.logs(at.node.running, FOLLOW) as chunks:
        await anext(chunks)
        at.line.go_dead()
        await soon(at.node)
        at.line.cut()


async def test_an_upload_to_a_dead_node_fails(at: Line) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    uploading = asyncio.create_task(at.far.put_archive(at.node.running, at.node.directory, endless()))
    await until(lambda: at.node.node.open_streams > 0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        at.line.go_dead()
        with pytest.raises(Unavailable):
            await uploading
    await soon(at.node)


async def test_half_of_an_upload_is_not_taken_for_all_of_it(at: Line) -> None:
    before = dict(at.node.node.files)

    async def halts() -> AsyncIterator[bytes]:
        yield b"half"
        await asyncio.get_running_loop().create_future()

    uploading = asyncio.create_task(at.far.put_archive(at.node.running, at.node.directory, halts()))
    await until(lambda: at.node.node.open_streams > 0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        at.line.cut()
        with pytest.raises(Unavailable):
            await uploading
    await soon(at.node)
    assert at.node.node.files == before


async def test_a_node_where_nothing_listens_is_unreachable(at: Line) -> None:
    await at.pair.server.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await at.beside.stats(at.node.running)


async def test_a_node_that_takes_connections_and_says_nothing_is_given_up(at: Line) -> None:
    at.line.go_dead()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises((Unavailable, Timeout)):
            async with at.far.logs(at.node.running, FOLLOW):
                raise AssertionError("it opened")


async def test_a_node_that_stops_says_so_to_everybody(at: Line) -> None:
    exec_id = await at.far.exec_create(at.node.running, ExecRequest(["echo"], stdin=True))
    async with (
        at.far.logs(at.node.running, FOLLOW) as chunks,
        at.far.exec_start(at.node.running, exec_id) as session,
    ):
        await anext(chunks)
        await anext(chunks)
        stopping = asyncio.create_task(at.pair.server.stop())
        with pytest.raises(Unavailable, match="restarts or stops"):
            await anext(chunks)
        with pytest.raises(Unavailable, match="restarts or stops"):
            await session.read()
        await stopping
    assert await at.node.nothing_open()


async def test_a_node_that_does_not_answer_in_time_is_a_timeout(at: Line) -> None:
    at.node.node.hanging = True
    slow = at.pair.node("n1", call_seconds=0.2)
    with pytest.raises(Timeout, match="n1"):
        await slow.stats(at.node.running)


async def test_a_node_that_is_removed_loses_its_streams(at: Line) -> None:
    async with at.far.logs(at.node.running, FOLLOW) as chunks, at.beside.logs(at.node.other, FOLLOW) as others:
        for _ in range(2):
            await anext(chunks)
        waiting = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        await at.pair.sweep("n2")
        with pytest.raises(Unavailable):
            await waiting
        await at.others_say(b"more")
        assert await anext(others) == Chunk(Channel.STDOUT, b"more")


async def test_new_calls_leave_an_old_connection_to_the_streams_it_carries() -> None:
    node = ScriptedNode()
    async with pair(node.live, connection_age_seconds=1) as made:
        line = BadLine(made.address)
        async with line.open() as address, made.node("n1", address).logs(node.running, FOLLOW) as chunks:
            far = made.node("n1", address)
            await anext(chunks)
            await anext(chunks)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while line.connections == 1:
                    await far.stats(node.running)
                    await asyncio.sleep(0.05)
            await node.say(b"more")
            assert (await anext(chunks)).data == b"more"


async def _deaf(*_: object) -> int:
    await asyncio.get_running_loop().create_future()
    return 0


async def _until_it_answers(node: RemoteNode, uuid: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await node.stats(uuid)
            except ZunError:
                await asyncio.sleep(0.05)
            else:
                return
