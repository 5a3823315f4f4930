# SPDX-License-Identifier: Apache-2.0
"""What the words of `NodeLive` mean, as tests: the agent itself, the fake, and a node on another machine keep them alike.

Derive a test class from `NodeLiveContract` and give it a fixture `harness`.
"""
# ruff: noqa: S101

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from zun.base.ids import new_uuid
from zun.drivers.runtime.base import ByteSession
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery
from zun.model.errors import Conflict, Invalid, NotFound
from zun.services.nodelive import NodeLive

PATIENCE_SECONDS = 60.0
"""For what happens in no time, unless it is broken."""


class NodeHarness(Protocol):
    """One node per test, with the containers `running` and `stopped`."""

    live: NodeLive
    running: str  # its process says back what it is told; its log holds "kept\n" on stdout and then "oops\n" on stderr
    other: str  # runs, too
    stopped: str  # has ended
    echo: list[str]  # a command that says back its input until the end of it
    fails: list[str]  # a command that writes "out" to stdout, "err" to stderr, and exits with 5
    directory: str  # a directory in `running`
    listening: int  # a port on which `listener` says back what it is told until the end of it, for each connection
    listener: str  # runs, too; nothing listens on other ports

    async def say(self, data: bytes) -> None:
        """Have the process of `running` write to its log."""

    async def end(self) -> None:
        """Have the process of `running` end."""

    async def heard(self) -> bytes:
        """What the process of `running` was told."""

    async def terminal_size(self, exec_id: str = "") -> tuple[int, int]:
        """Width and height of the terminal of a command, or of the process of `running`."""

    async def nothing_open(self) -> bool:
        """Whether nobody reads or talks any more, as the node sees it."""


async def soon(harness: NodeHarness) -> None:
    """Wait until the node has noticed that all have left."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await harness.nothing_open():  # noqa: ASYNC110 - looks at state that has no event
            await asyncio.sleep(0.005)


async def output(session: ByteSession) -> dict[Channel, bytes]:
    """All that a session says."""
    told = {Channel.STDOUT: b"", Channel.STDERR: b""}
    while (chunk := await session.read()) is not None:
        told[chunk.channel] += chunk.data
    return told


async def log(harness: NodeHarness, query: LogQuery) -> dict[Channel, bytes]:
    """All of a log that ends."""
    told = {Channel.STDOUT: b"", Channel.STDERR: b""}
    async with harness.live.logs(harness.running, query) as chunks:
        async for chunk in chunks:
            told[chunk.channel] += chunk.data
    return told


class LogContract:
    """What a container wrote."""

    async def test_a_log_comes_whole_with_its_channels_apart(self, harness: NodeHarness) -> None:
        assert await log(harness, LogQuery()) == {Channel.STDOUT: b"kept\n", Channel.STDERR: b"oops\n"}
        assert await log(harness, LogQuery(stdout=False)) == {Channel.STDOUT: b"", Channel.STDERR: b"oops\n"}

    async def test_a_follower_gets_what_comes_until_the_container_ends(self, harness: NodeHarness) -> None:
        async with harness.live.logs(harness.running, LogQuery(stderr=False, follow=True)) as chunks:
            assert await anext(chunks) == Chunk(Channel.STDOUT, b"kept\n")
            await harness.say(b"more\x00\xff\n")
            assert await anext(chunks) == Chunk(Channel.STDOUT, b"more\x00\xff\n")
            await harness.end()
            assert [chunk async for chunk in chunks] == []
        await soon(harness)

    async def test_a_follower_may_leave_and_the_node_notices(self, harness: NodeHarness) -> None:
        async with harness.live.logs(harness.running, LogQuery(follow=True)) as chunks:
            await anext(chunks)
            assert not await harness.nothing_open()
        await soon(harness)

    async def test_a_follower_that_is_cancelled_leaves(self, harness: NodeHarness) -> None:
        reading = asyncio.Event()

        async def follow() -> None:
            async with harness.live.logs(harness.running, LogQuery(follow=True)) as chunks:
                async for _ in chunks:
                    reading.set()

        task = asyncio.create_task(follow())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(harness)

    async def test_the_log_of_nothing_is_not_found_before_anything_comes(self, harness: NodeHarness) -> None:
        with pytest.raises(NotFound):
            async with harness.live.logs(new_uuid(), LogQuery()):
                raise AssertionError("it opened")


class ExecContract:
    """Commands."""

    async def test_output_and_exit_code_come_as_they_are(self, harness: NodeHarness) -> None:
        exec_id = await harness.live.exec_create(harness.running, ExecRequest(harness.fails))
        async with harness.live.exec_start(harness.running, exec_id) as session:
            assert await output(session) == {Channel.STDOUT: b"out", Channel.STDERR: b"err"}
            assert await session.exit_code() == 5
            assert await session.read() is None
            with pytest.raises(Conflict):
                await session.write(b"late")
        await soon(harness)

    async def test_the_end_of_input_reaches_the_command_and_the_rest_comes_back(self, harness: NodeHarness) -> None:
        async with harness.live.exec_start(harness.running, await self._echo(harness)) as session:
            sent = bytes(range(256)) * 1024

            async def feed() -> None:
                for start in range(0, len(sent), 10_000):
                    await session.write(sent[start : start + 10_000])
                await session.close_stdin()

            feeding = asyncio.create_task(feed())
            assert (await output(session))[Channel.STDOUT] == sent
            await feeding
            assert await session.exit_code() == 0

    async def test_a_conversation_goes_both_ways(self, harness: NodeHarness) -> None:
        async with harness.live.exec_start(harness.running, await self._echo(harness)) as session:
            for word in (b"one\n", b"two\n"):
                await session.write(word)
                assert await session.read() == Chunk(Channel.STDOUT, word)
            await session.close_stdin()
            await session.close_stdin()
            with pytest.raises(Conflict):
                await session.write(b"late")
            assert await session.read() is None

    async def test_a_reader_that_stops_waiting_breaks_nothing(self, harness: NodeHarness) -> None:
        async with harness.live.exec_start(harness.running, await self._echo(harness)) as session:
            for _ in range(3):
                reading = asyncio.create_task(session.read())
                await asyncio.sleep(0)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            await session.write(b"hello\n")
            assert await session.read() == Chunk(Channel.STDOUT, b"hello\n")
            await session.close_stdin()
            assert await session.read() is None
            assert await session.exit_code() == 0

    async def test_a_terminal_is_resized_while_its_command_runs(self, harness: NodeHarness) -> None:
        exec_id = await self._echo(harness, tty=True)
        async with harness.live.exec_start(harness.running, exec_id) as session:
            await session.write(b"up\n")
            await session.read()
            await harness.live.exec_resize(harness.running, exec_id, width=101, height=37)
            assert await harness.terminal_size(exec_id) == (101, 37)
            await session.write(b"still there\n")
            assert await session.read() is not None

    async def test_a_command_runs_once_and_only_in_its_container(self, harness: NodeHarness) -> None:
        exec_id = await harness.live.exec_create(harness.running, ExecRequest(harness.fails))
        with pytest.raises(NotFound):
            async with harness.live.exec_start(harness.other, exec_id):
                raise AssertionError("it opened")
        with pytest.raises(NotFound):
            await harness.live.exec_resize(harness.other, exec_id, width=80, height=24)
        async with harness.live.exec_start(harness.running, exec_id) as session:
            await output(session)
        with pytest.raises(Conflict):
            async with harness.live.exec_start(harness.running, exec_id):
                raise AssertionError("it ran again")

    async def test_there_is_no_command_in_what_does_not_run_or_is_not_there(self, harness: NodeHarness) -> None:
        with pytest.raises(Conflict):
            await harness.live.exec_create(harness.stopped, ExecRequest(harness.echo))
        with pytest.raises(NotFound):
            await harness.live.exec_create(new_uuid(), ExecRequest(harness.echo))
        with pytest.raises(NotFound):
            async with harness.live.exec_start(harness.running, "0" * 64):
                raise AssertionError("it opened")

    async def _echo(self, harness: NodeHarness, *, tty: bool = False) -> str:
        return await harness.live.exec_create(harness.running, ExecRequest(harness.echo, stdin=True, tty=tty))


class AttachContract:
    """The container's own process."""

    async def test_who_attaches_talks_to_the_process_and_the_next_one_too(self, harness: NodeHarness) -> None:
        for word in (b"one\n", b"two\n"):
            async with harness.live.attach(harness.running) as session:
                await session.write(word)
                assert await session.read() == Chunk(Channel.STDOUT, word)
            await soon(harness)

    async def test_what_was_written_before_leaving_arrives(self, harness: NodeHarness) -> None:
        async with harness.live.attach(harness.running) as session:
            await session.write(b"last words\n")
        await soon(harness)
        assert b"last words\n" in await harness.heard()

    async def test_its_terminal_is_resized(self, harness: NodeHarness) -> None:
        async with harness.live.attach(harness.running):
            await harness.live.resize(harness.running, width=90, height=33)
            assert await harness.terminal_size() == (90, 33)

    async def test_who_attached_is_told_of_the_end(self, harness: NodeHarness) -> None:
        async with harness.live.attach(harness.running) as session:
            await harness.end()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await session.read() is not None:
                    pass
                assert await session.exit_code() == 0
        await soon(harness)

    async def test_nobody_attaches_to_what_has_ended_or_is_not_there(self, harness: NodeHarness) -> None:
        with pytest.raises(Conflict):
            async with harness.live.attach(harness.stopped):
                raise AssertionError("it opened")
        with pytest.raises(NotFound):
            async with harness.live.attach(new_uuid()):
                raise AssertionError("it opened")
        with pytest.raises(Conflict):
            await harness.live.resize(harness.stopped, width=80, height=24)


class ArchiveContract:
    """Files."""

    async def test_what_is_put_in_comes_out_the_same(self, harness: NodeHarness) -> None:
        content = bytes(range(256)) * 4096
        await harness.live.put_archive(harness.running, harness.directory, _pieces(_tar("data.bin", content)))
        async with harness.live.get_archive(harness.running, harness.directory) as (stat, data):
            assert stat.name == harness.directory.removeprefix("/")
            packed = b"".join([piece async for piece in data])
        assert _content(packed, "data.bin") == content
        await soon(harness)

    async def test_an_upload_whose_source_fails_fails_with_that(self, harness: NodeHarness) -> None:
        class _BrokenError(Exception):
            pass

        async def broken() -> AsyncIterator[bytes]:
            yield _tar("data.bin", b"x" * 100_000)[:50_000]
            raise _BrokenError

        with pytest.raises(_BrokenError):
            await harness.live.put_archive(harness.running, harness.directory, broken())
        await soon(harness)
        async with harness.live.get_archive(harness.running, harness.directory) as (_, data):
            packed = b"".join([piece async for piece in data])
        assert b"x" * 1000 not in packed

    async def test_a_refused_upload_does_not_wait_for_its_source(self, harness: NodeHarness) -> None:
        async def endless() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.get_running_loop().create_future()

        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(NotFound):
                await harness.live.put_archive(new_uuid(), "/", endless())

    async def test_a_path_that_is_not_there_is_not_found(self, harness: NodeHarness) -> None:
        with pytest.raises(NotFound):
            async with harness.live.get_archive(harness.running, "/no/such/path"):
                raise AssertionError("it opened")
        with pytest.raises(NotFound):
            await harness.live.put_archive(harness.running, "/no/such/path", _pieces(_tar("a", b"b")))

    async def test_who_has_read_enough_leaves(self, harness: NodeHarness) -> None:
        content = b"y" * 3_000_000
        await harness.live.put_archive(harness.running, harness.directory, _pieces(_tar("data.bin", content)))
        async with harness.live.get_archive(harness.running, harness.directory) as (_, data):
            assert await anext(data)
        await soon(harness)


class FigureContract:
    """What is told of a container, and of the node."""

    async def test_top_has_as_many_cells_as_titles(self, harness: NodeHarness) -> None:
        told = await harness.live.top(harness.running, None)
        assert "PID" in told.titles
        assert [len(process) for process in told.processes] == [len(told.titles)] * len(told.processes)

    async def test_stats_have_numbers(self, harness: NodeHarness) -> None:
        told = await harness.live.stats(harness.running)
        assert 0 < told.memory_bytes <= told.memory_limit_bytes

    async def test_there_are_no_figures_of_what_does_not_run(self, harness: NodeHarness) -> None:
        for call in (harness.live.stats(harness.stopped), harness.live.top(harness.stopped, None)):
            with pytest.raises(Conflict):
                await call
        for call in (harness.live.stats(new_uuid()), harness.live.top(new_uuid(), None)):
            with pytest.raises(NotFound):
                await call

    async def test_images_are_searched(self, harness: NodeHarness) -> None:
        found = await harness.live.search_images("busybox", exact=False)
        assert [set(image) for image in found] == [{"name", "description", "metadata"}] * len(found)

    async def test_the_node_describes_itself(self, harness: NodeHarness) -> None:
        told = await harness.live.describe()
        assert (told.node, told.engine, told.engine_error) == ("n1", "fake", "")
        assert told.at >= told.started_at > 0
        assert told.version
        assert told.engine_version


class RefusalContract:
    """What the engine says of a bad request."""

    async def test_a_request_that_the_engine_refuses_says_why(self, harness: NodeHarness) -> None:
        with pytest.raises(Invalid) as refused:
            await harness.live.exec_create(harness.running, ExecRequest([]))
        assert "command" in refused.value.message.lower()


class NodeLiveContract(LogContract, ExecContract, AttachContract, ArchiveContract, FigureContract, RefusalContract):
    """All of it, but for connections to ports (`nodelive_contract_ports.py`)."""


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 60_000):
        yield data[start : start + 60_000]


def _tar(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _content(packed: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        found = [archive.extractfile(member) for member in archive if member.isfile() and member.name.endswith(name)]
        assert len(found) == 1
        assert found[0] is not None
        return found[0].read()
