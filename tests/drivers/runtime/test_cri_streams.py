# SPDX-License-Identifier: Apache-2.0
"""Live things of a real containerd, beyond the contract: long logs, terminals, commands that go their own ways.

Programs that write much wait before they end: containerd 1.6 may lose what was written in the last moment (its issue 7289).
"""

import asyncio
from pathlib import Path

import pytest

from support.containerd_engine import Containerd
from support.cri_runtime import CriGround, CriHarness
from support.registry import Registry
from support.stream_checks import UNTIL_SIZED, StreamsOfRealEngines
from zun.drivers.runtime.contract_harness import STUBBORN, ended, execute, log_of, make, output_of, run
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery
from zun.model.errors import Conflict

pytestmark = pytest.mark.containerd


class TestStreams(StreamsOfRealEngines):
    @pytest.fixture
    def harness(self, cri: CriHarness) -> CriHarness:
        return cri


LINGERS = "; until [ -e /tmp/read ]; do sleep 0.05; done"


async def followed(cri: CriHarness, handle: str, query: LogQuery, last: bytes) -> dict[Channel, bytes]:
    """Follow a log; let its program end when the last words were read."""
    told = {Channel.STDOUT: b"", Channel.STDERR: b""}
    async with asyncio.timeout(60), cri.runtime.streams.logs(handle, query) as chunks:
        async for chunk in chunks:
            told[chunk.channel] += chunk.data
            if last in chunk.data:
                await execute(cri, handle, ["touch", "/tmp/read"])
    return told


@pytest.mark.parametrize("tty", [False, True])
async def test_a_burst_is_followed_to_its_last_line(cri: CriHarness, tty: bool) -> None:
    handle = await run(cri, ["sh", "-c", "seq 0 199999" + LINGERS], tty=tty)
    told = (await followed(cri, handle, LogQuery(follow=True), b"199999"))[Channel.STDOUT]
    assert told == b"".join(b"%d%s\n" % (number, b"\r" if tty else b"") for number in range(200_000))


async def test_a_followed_tail_begins_where_it_should_and_ends_whole(cri: CriHarness) -> None:
    handle = await run(cri, ["sh", "-c", "seq 1 100; seq 101 90000 >&2" + LINGERS])
    told = await followed(cri, handle, LogQuery(follow=True, tail=5, timestamps=True), b" 90000\n")
    numbers = [int(line.split()[1]) for line in (told[Channel.STDOUT] + told[Channel.STDERR]).splitlines()]
    assert numbers == list(range(numbers[0], 90_001))


async def test_a_log_is_turned_over_and_followed_without_a_gap(engine: Containerd, tmp_path: Path) -> None:
    cri = await CriHarness.open(CriGround(engine, Registry("", ""), ""), tmp_path, log_mib=1, log_look_seconds=0.02)
    try:
        slowly = "for i in $(seq 0 39); do seq $((i*1000)) $((i*1000+999)); sleep 0.02; done"
        handle = await run(cri, ["sh", "-c", slowly + LINGERS])
        told = (await followed(cri, handle, LogQuery(follow=True), b"39999\n"))[Channel.STDOUT]
        assert told.split() == [b"%d" % number for number in range(40_000)]
        files = sorted((tmp_path / "cri" / "logs" / handle).iterdir())
        assert [file.name for file in files] == ["log", "log.1"]
        assert sum(file.stat().st_size for file in files) < 3 << 20
        kept = (await log_of(cri, handle))[Channel.STDOUT].split()
        assert kept == [b"%d" % number for number in range(int(kept[0]), 40_000)]
        assert (await log_of(cri, handle, LogQuery(tail=3)))[Channel.STDOUT].split() == [b"39997", b"39998", b"39999"]
    finally:
        await cri.close()


async def test_a_long_line_without_end_comes_through_whole(cri: CriHarness) -> None:
    script = "head -c 3000000 /dev/urandom | tr -d '\\n\\r' > /tmp/data; cat /tmp/data; cat > /dev/null"
    handle = await run(cri, ["sh", "-c", script], interactive=True)
    size, chunks = 0, []
    async with cri.runtime.streams.logs(handle, LogQuery(follow=True)) as log:
        async for chunk in log:
            chunks.append(chunk.data)
            size += len(chunk.data)
            if size > 2_900_000:
                break
    inside, _, code = await execute(cri, handle, ["cat", "/tmp/data"])
    assert code == 0
    assert inside.startswith(b"".join(chunks))


async def test_a_size_given_before_the_container_begins_is_its_size(cri: CriHarness) -> None:
    handle = await make(cri, UNTIL_SIZED, tty=True, interactive=True)
    await cri.runtime.streams.resize(handle, width=101, height=37)
    await cri.runtime.containers.start(handle)
    assert (await ended(cri, handle)).exit_code == 0


async def test_a_command_whose_child_keeps_its_output_ends_all_the_same(cri: CriHarness) -> None:
    handle = await run(cri)
    async with asyncio.timeout(60):
        out, _, code = await execute(cri, handle, ["sh", "-c", "sleep 1000000 & echo begun; exit 4"])
    assert (out, code) == (b"begun\n", 4)


async def test_a_command_ends_with_its_container(cri: CriHarness) -> None:
    handle = await run(cri)
    exec_id = await cri.runtime.streams.exec_create(handle, ExecRequest(["sleep", "1000000"]))
    async with asyncio.timeout(60), cri.runtime.streams.exec_start(exec_id) as session:
        await cri.runtime.containers.kill(handle, "SIGKILL")
        await output_of(session)
        assert await session.exit_code() in {137, None}


async def test_commands_leave_nothing_behind(cri: CriHarness) -> None:
    handle = await run(cri)
    await execute(cri, handle, ["true"])
    await execute(cri, handle, ["no-such-program"])
    pipes = cri.directory / "cri" / "pipes"

    async def none_left() -> bool:
        return not any(pipes.iterdir())

    await cri.until(none_left)


async def test_a_prompt_is_seen_by_who_attached_before_the_start(cri: CriHarness) -> None:
    """It has no line feed, so it is not in the log; and the engine lets nobody attach before the start."""
    script = r"echo welcome; sleep 0.3; printf 'name? '; read name; echo hello $name; exit 9"
    handle = await make(cri, ["sh", "-c", script], tty=True, interactive=True)
    async with asyncio.timeout(60), cri.runtime.streams.attach(handle) as session:
        await cri.runtime.containers.start(handle)
        told = b""
        while b"name? " not in told:
            chunk = await session.read()
            assert chunk is not None
            told += chunk.data
        assert told == b"welcome\r\nname? "
        await session.write(b"zun\n")
        rest = (await output_of(session))[Channel.STDOUT]
        assert rest == b"zun\r\nhello zun\r\n"
        assert await session.exit_code() == 9


async def test_much_output_is_whole_for_who_attached_before_the_start(cri: CriHarness) -> None:
    handle = await make(cri, ["sh", "-c", "seq 0 99999; seq 0 9 >&2" + LINGERS])
    told = {Channel.STDOUT: b"", Channel.STDERR: b""}
    async with asyncio.timeout(60), cri.runtime.streams.attach(handle) as session:
        await cri.runtime.containers.start(handle)
        while (chunk := await session.read()) is not None:
            told[chunk.channel] += chunk.data
            if told[Channel.STDOUT].endswith(b"99999\n") and told[Channel.STDERR].endswith(b"9\n"):
                await execute(cri, handle, ["touch", "/tmp/read"])
    assert told[Channel.STDOUT].split() == [b"%d" % number for number in range(100_000)]
    assert told[Channel.STDERR].split() == [b"%d" % number for number in range(10)]


async def test_two_may_be_attached_at_once(cri: CriHarness) -> None:
    handle = await run(cri, ["cat"], interactive=True)
    async with cri.runtime.streams.attach(handle) as first, cri.runtime.streams.attach(handle) as second:
        await first.write(b"one\n")
        assert await first.read() == Chunk(Channel.STDOUT, b"one\n")
        assert await second.read() == Chunk(Channel.STDOUT, b"one\n")


async def test_a_container_that_has_no_input_takes_none(cri: CriHarness) -> None:
    handle = await run(cri, STUBBORN)
    async with cri.runtime.streams.attach(handle) as session:
        with pytest.raises(Conflict):
            await session.write(b"lost\n")


async def test_top_shows_no_neighbour(cri: CriHarness) -> None:
    mine, other = await run(cri, ["sleep", "11111"]), await run(cri, ["sleep", "22222"])
    await execute(cri, mine, ["true"])
    told = await cri.runtime.streams.top(mine, "-o pid,args")
    assert [row[1] for row in told.processes] == ["sleep 11111"]
    assert (await cri.runtime.streams.top(other, None)).processes
