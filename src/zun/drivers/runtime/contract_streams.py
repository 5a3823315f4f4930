# SPDX-License-Identifier: Apache-2.0
"""The contract's part about logs, exec, attach, archives and figures."""

# ruff: noqa: S101
import asyncio
import io
import re
import tarfile

import pytest

from zun.drivers.runtime.contract_harness import (
    POLITE,
    WAITS,
    RuntimeHarness,
    ended,
    execute,
    log_of,
    make,
    output_of,
    pieces,
    run,
    said,
    stands_still,
)
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery
from zun.model.errors import Conflict, Invalid, NotFound

ABSENT = "0123456789abcdef" * 4
EVERY_BYTE = r"printf '\000\001\002\015\200\377end'"
EVERY_BYTE_SAYS = b"\x00\x01\x02\r\x80\xffend"
MORE_THAN_PIPES_HOLD = 64 << 20


class LogContract:
    """What a container wrote."""

    async def test_logs_keep_channels_apart_and_bytes_as_they_are(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["sh", "-c", f"{EVERY_BYTE}; echo oops >&2"])
        await ended(harness, handle)
        assert await log_of(harness, handle) == {Channel.STDOUT: EVERY_BYTE_SAYS, Channel.STDERR: b"oops\n"}
        assert await log_of(harness, handle, LogQuery(stdout=False)) == {Channel.STDOUT: b"", Channel.STDERR: b"oops\n"}
        with pytest.raises(Invalid):
            await log_of(harness, handle, LogQuery(stdout=False, stderr=False))

    async def test_tail_gives_the_last_lines(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["sh", "-c", "echo 1; echo 2; echo 3"])
        await ended(harness, handle)
        assert (await log_of(harness, handle, LogQuery(tail=2)))[Channel.STDOUT] == b"2\n3\n"
        assert (await log_of(harness, handle, LogQuery(tail=0)))[Channel.STDOUT] == b""

    async def test_timestamps_stand_before_each_line_and_since_compares_them(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["sh", "-c", "echo one; sleep 0.3; echo two"])
        seen = await ended(harness, handle)
        told = (await log_of(harness, handle, LogQuery(timestamps=True)))[Channel.STDOUT]
        assert re.fullmatch(rb"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (?:one|two)\n){2}", told)
        assert seen.started_at is not None
        since = LogQuery(since=seen.started_at + 0.15)
        assert (await log_of(harness, handle, since))[Channel.STDOUT] == b"two\n"

    async def test_follow_goes_on_until_the_container_ends(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, POLITE)
        async with harness.runtime.streams.logs(handle, LogQuery(follow=True)) as chunks:
            told = (await anext(chunks)).data
            stopping = asyncio.create_task(harness.during(harness.runtime.containers.stop(handle, 30)))
            async for chunk in chunks:
                told += chunk.data
            await stopping
        assert told == b"ready\n"

    async def test_a_follower_may_leave_early(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, POLITE)
        async with harness.runtime.streams.logs(handle, LogQuery(follow=True)) as chunks:
            assert (await anext(chunks)) == Chunk(Channel.STDOUT, b"ready\n")

    async def test_with_a_terminal_all_is_stdout(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["sh", "-c", "echo out; echo err >&2"], tty=True)
        await ended(harness, handle)
        assert await log_of(harness, handle) == {Channel.STDOUT: b"out\r\nerr\r\n", Channel.STDERR: b""}

    async def test_the_log_of_nothing_is_not_found(self, harness: RuntimeHarness) -> None:
        with pytest.raises(NotFound):
            await log_of(harness, ABSENT)


class ExecContract:
    """Commands inside a running container."""

    async def test_output_and_exit_code_come_as_they_are(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        assert await execute(harness, handle, ["sh", "-c", f"{EVERY_BYTE}; echo oops >&2; exit 5"]) == (
            EVERY_BYTE_SAYS, b"oops\n", 5,
        )  # fmt: skip

    async def test_its_id_is_64_lower_case_hexadecimal_digits(self, harness: RuntimeHarness) -> None:
        exec_id = await harness.runtime.streams.exec_create(await run(harness), ExecRequest(["true"]))
        assert re.fullmatch(r"[0-9a-f]{64}", exec_id)

    async def test_end_of_input_reaches_the_command_and_its_answer_comes_back(self, harness: RuntimeHarness) -> None:
        exec_id = await harness.runtime.streams.exec_create(await run(harness), ExecRequest(["wc", "-c"], stdin=True))
        async with harness.runtime.streams.exec_start(exec_id) as session:
            for _ in range(16):
                await session.write(b"\x00\xff" * 32768)
            await session.close_stdin()
            assert (await output_of(session))[Channel.STDOUT].strip() == b"1048576"
            assert await session.exit_code() == 0
            with pytest.raises(Conflict):
                await session.write(b"late")

    async def test_a_conversation_goes_both_ways(self, harness: RuntimeHarness) -> None:
        exec_id = await harness.runtime.streams.exec_create(await run(harness), ExecRequest(["cat"], stdin=True))
        async with harness.runtime.streams.exec_start(exec_id) as session:
            for word in (b"one\n", b"two\n"):
                await session.write(word)
                assert await session.read() == Chunk(Channel.STDOUT, word)
            await session.close_stdin()
            assert await session.read() is None
            assert await session.exit_code() == 0

    async def test_a_process_that_does_not_read_makes_the_writer_wait(self, harness: RuntimeHarness) -> None:
        exec_id = await harness.runtime.streams.exec_create(await run(harness), ExecRequest(WAITS, stdin=True))
        async with harness.runtime.streams.exec_start(exec_id) as session:
            written = 0

            async def pour() -> None:
                nonlocal written
                while written < MORE_THAN_PIPES_HOLD:
                    await session.write(bytes(1 << 16))
                    written += 1 << 16

            pouring = asyncio.create_task(pour())
            await stands_still(harness, lambda: written)
            assert not pouring.done()
            pouring.cancel()

    async def test_environment_and_directory_are_the_commands_own(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, environment={"A": "1", "B": "2"})
        out, _, _ = await execute(harness, handle, ["sh", "-c", "env; pwd"], environment={"B": "3"}, workdir="/etc")
        lines = out.splitlines()
        assert b"A=1" in lines
        assert b"B=3" in lines
        assert lines[-1] == b"/etc"

    async def test_a_terminal_has_the_size_it_is_given(self, harness: RuntimeHarness) -> None:
        request = ExecRequest(["sh", "-c", "echo up; read line; stty size"], tty=True, stdin=True)
        exec_id = await harness.runtime.streams.exec_create(await run(harness), request)
        async with harness.runtime.streams.exec_start(exec_id) as session:
            assert b"up" in getattr(await session.read(), "data", b"")
            await harness.runtime.streams.exec_resize(exec_id, width=101, height=37)
            await session.write(b"go\n")
            told = await output_of(session)
        assert b"37 101" in told[Channel.STDOUT]
        assert told[Channel.STDERR] == b""

    async def test_a_missing_program_ends_with_126_or_127_and_says_so(self, harness: RuntimeHarness) -> None:
        out, err, code = await execute(harness, await run(harness), ["no-such-program"])
        assert code in {126, 127}
        assert b"no-such-program" in out + err

    async def test_a_command_runs_once_only(self, harness: RuntimeHarness) -> None:
        exec_id = await harness.runtime.streams.exec_create(await run(harness), ExecRequest(["true"]))
        async with harness.runtime.streams.exec_start(exec_id) as session:
            await output_of(session)
        with pytest.raises(Conflict):
            async with harness.runtime.streams.exec_start(exec_id):
                pass

    async def test_a_command_that_nobody_watches_runs_on(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        request = ExecRequest(["sh", "-c", "sleep 0.2; echo done > /tmp/mark"])
        exec_id = await harness.runtime.streams.exec_create(handle, request)
        async with harness.runtime.streams.exec_start(exec_id):
            pass

        async def has_run() -> bool:
            return (await execute(harness, handle, ["cat", "/tmp/mark"]))[0] == b"done\n"  # noqa: S108

        await harness.until(has_run)

    async def test_a_command_can_be_killed_and_its_container_goes_on(self, harness: RuntimeHarness) -> None:
        handle, streams = await run(harness), harness.runtime.streams
        exec_id = await streams.exec_create(handle, ExecRequest(["sleep", "1000000"]))
        await streams.exec_kill(exec_id)  # it has not begun, and may still
        async with streams.exec_start(exec_id) as session:
            await streams.exec_kill(exec_id)
            await harness.during(output_of(session))
            assert await harness.during(session.exit_code()) == 137
        await streams.exec_kill(exec_id)
        await streams.exec_kill(ABSENT)
        assert await execute(harness, handle, ["true"]) == (b"", b"", 0)

    async def test_what_does_not_run_or_is_not_there_is_refused(self, harness: RuntimeHarness) -> None:
        streams = harness.runtime.streams
        with pytest.raises(Conflict):
            await streams.exec_create(await make(harness, ["true"]), ExecRequest(["true"]))
        with pytest.raises(Invalid):
            await streams.exec_create(await run(harness), ExecRequest([]))
        with pytest.raises(NotFound):
            await streams.exec_create(ABSENT, ExecRequest(["true"]))
        with pytest.raises(NotFound):
            await streams.exec_resize(ABSENT, width=80, height=24)
        with pytest.raises(NotFound):
            async with streams.exec_start(ABSENT):
                pass


class AttachContract:
    """Talking to the container's own process."""

    async def test_input_stays_open_for_whoever_attaches_next(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["cat"], interactive=True)
        for word in (b"one\n", b"two\n"):
            async with harness.runtime.streams.attach(handle) as session:
                await session.write(word)
                assert await session.read() == Chunk(Channel.STDOUT, word)
                await session.close_stdin()
                with pytest.raises(Conflict):
                    await session.write(b"late")
        await said(harness, handle, b"one\ntwo\n")

    async def test_input_that_is_for_one_session_ends_with_it(self, harness: RuntimeHarness) -> None:
        handle = await make(harness, ["cat"], interactive=True, stdin_once=True)
        async with harness.runtime.streams.attach(handle) as session:
            await harness.runtime.containers.start(handle)
            await session.write(b"all of it")
            await session.close_stdin()
            assert (await output_of(session))[Channel.STDOUT] == b"all of it"
            assert await session.exit_code() == 0

    async def test_attached_before_the_start_nothing_is_missed(self, harness: RuntimeHarness) -> None:
        handle = await make(harness, ["sh", "-c", f"{EVERY_BYTE}; echo oops >&2; exit 4"])
        async with harness.runtime.streams.attach(handle) as session:
            await harness.runtime.containers.start(handle)
            assert await output_of(session) == {Channel.STDOUT: EVERY_BYTE_SAYS, Channel.STDERR: b"oops\n"}
            assert await session.exit_code() == 4

    async def test_a_terminal_can_be_resized(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["sh", "-c", "echo up; read line; stty size"], tty=True, interactive=True)
        await said(harness, handle, b"up")
        await harness.runtime.streams.resize(handle, width=90, height=33)
        async with harness.runtime.streams.attach(handle) as session:
            await session.write(b"go\n")
            assert b"33 90" in (await output_of(session))[Channel.STDOUT]

    async def test_what_has_ended_or_is_not_there_is_refused(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["true"])
        await ended(harness, handle)
        with pytest.raises(Conflict):
            async with harness.runtime.streams.attach(handle):
                pass
        with pytest.raises(Conflict):
            await harness.runtime.streams.resize(handle, width=80, height=24)
        with pytest.raises(NotFound):
            async with harness.runtime.streams.attach(ABSENT):
                pass


class ArchiveContract:
    """Copying in and out, and what is told of a running container."""

    async def test_what_is_put_in_comes_out_the_same(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        content = bytes(range(256)) * 8192
        await harness.runtime.streams.put_archive(handle, "/tmp", pieces(_tar({"in/data.bin": content})))  # noqa: S108
        assert (await execute(harness, handle, ["cat", "/tmp/in/data.bin"]))[0] == content  # noqa: S108
        async with harness.runtime.streams.get_archive(handle, "/tmp/in/data.bin") as (stat, data):  # noqa: S108
            assert (stat.name, stat.size) == ("data.bin", len(content))
            packed = b"".join([piece async for piece in data])
        assert _untar(packed) == {"data.bin": content}

    async def test_archives_need_no_running_container(self, harness: RuntimeHarness) -> None:
        handle = await make(harness, ["cat", "/etc/words"])
        await harness.runtime.streams.put_archive(handle, "/etc", pieces(_tar({"words": b"hello\n"})))
        await harness.runtime.containers.start(handle)
        await ended(harness, handle)
        assert (await log_of(harness, handle))[Channel.STDOUT] == b"hello\n"

    async def test_a_path_that_is_not_there_is_not_found(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        with pytest.raises(NotFound):
            async with harness.runtime.streams.get_archive(handle, "/no/such/path"):
                pass
        with pytest.raises(NotFound):
            await harness.runtime.streams.put_archive(handle, "/no/such/path", pieces(_tar({"a": b"x" * (4 << 20)})))
        with pytest.raises(NotFound):
            async with harness.runtime.streams.get_archive(ABSENT, "/etc"):
                pass

    async def test_no_directory_and_no_tar_are_invalid(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        await harness.runtime.streams.put_archive(handle, "/etc", pieces(_tar({"file": b"x"})))
        with pytest.raises(Invalid):
            await harness.runtime.streams.put_archive(handle, "/etc/file", pieces(_tar({"a": b"x"})))
        with pytest.raises(Invalid):
            await harness.runtime.streams.put_archive(handle, "/etc", pieces(b"this is no tar archive" * 100))

    async def test_top_names_the_process(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, ["sleep", "54321"])

        async def is_named() -> bool:  # for a moment after the start it may still be the runtime's own program
            told = await harness.runtime.streams.top(handle, None)
            return any("sleep 54321" in " ".join(process) for process in told.processes)

        await harness.until(is_named)
        told = await harness.runtime.streams.top(handle, None)
        assert "PID" in told.titles
        assert all(len(process) == len(told.titles) for process in told.processes)

    async def test_stats_know_the_limit_and_what_is_used(self, harness: RuntimeHarness) -> None:
        handle = await run(harness, memory_mib=48)
        told = await harness.during(harness.runtime.streams.stats(handle))
        assert told.memory_limit_bytes == 48 << 20
        assert 0 < told.memory_bytes < 48 << 20
        assert 0 <= told.cpu_percent < 100

    async def test_figures_of_what_does_not_run_are_refused(self, harness: RuntimeHarness) -> None:
        handle = await make(harness, ["true"])
        with pytest.raises(Conflict):
            await harness.runtime.streams.stats(handle)
        with pytest.raises(Conflict):
            await harness.runtime.streams.top(handle, None)
        with pytest.raises(NotFound):
            await harness.runtime.streams.stats(ABSENT)


class StreamContract(LogContract, ExecContract, AttachContract, ArchiveContract):
    """All live things."""


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _untar(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: content.read() for name, content in files.items() if content is not None}
