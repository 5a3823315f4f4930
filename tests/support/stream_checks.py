# SPDX-License-Identifier: Apache-2.0
"""Live things of any real engine, beyond the contract: what takes programs that the fake does not have."""

import asyncio

import pytest

from zun.drivers.runtime.contract_harness import (
    STUBBORN,
    RuntimeHarness,
    execute,
    output_of,
    run,
    said,
)
from zun.drivers.runtime.types import Channel, ExecRequest
from zun.model.errors import Conflict

UNTIL_SIZED = ["sh", "-c", 'until [ "$(stty size 2>/dev/null)" = "37 101" ]; do sleep 0.05; done; echo sized']
"""Ends once its terminal has 101 columns and 37 lines."""

_BYTES = 8 << 20
"""More than the pipes and sockets between a command and its reader hold."""


class StreamsOfRealEngines:
    """A subclass gives the fixture `harness`."""

    async def test_a_reader_that_waits_makes_the_command_wait(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        script = f"echo begun > /tmp/begun; head -c {_BYTES} /dev/zero; echo done > /tmp/done"
        exec_id = await harness.runtime.streams.exec_create(handle, ExecRequest(["sh", "-c", script]))
        async with asyncio.timeout(60), harness.runtime.streams.exec_start(exec_id) as session:
            first = await session.read()
            assert first is not None
            for _ in range(3):  # it had time to end, if nothing made it wait
                assert (await execute(harness, handle, ["cat", "/tmp/begun"]))[2] == 0
                assert (await execute(harness, handle, ["cat", "/tmp/done"]))[2] != 0
            told = await output_of(session)
            assert len(first.data) + len(told[Channel.STDOUT]) == _BYTES
            assert await session.exit_code() == 0

    async def test_a_size_given_before_the_command_begins_is_its_size(self, harness: RuntimeHarness) -> None:
        streams = harness.runtime.streams
        exec_id = await streams.exec_create(await run(harness), ExecRequest(UNTIL_SIZED, tty=True, stdin=True))
        await streams.exec_resize(exec_id, width=101, height=37)
        async with asyncio.timeout(60), streams.exec_start(exec_id) as session:
            assert b"sized" in (await output_of(session))[Channel.STDOUT]
            assert await session.exit_code() == 0
        with pytest.raises(Conflict, match="ended"):
            await streams.exec_resize(exec_id, width=80, height=24)

    async def test_a_killed_command_tells_its_signal(self, harness: RuntimeHarness) -> None:
        handle = await run(harness)
        out, _, code = await execute(harness, handle, ["sh", "-c", "echo begun; kill -KILL $$"])
        assert (out, code) == (b"begun\n", 137)

    @pytest.mark.parametrize("tty", [False, True])
    async def test_a_session_that_is_left_has_no_exit_code_and_the_container_runs_on(
        self, harness: RuntimeHarness, tty: bool
    ) -> None:
        handle = await run(harness, STUBBORN, tty=tty, interactive=tty)
        await said(harness, handle, b"ready")
        async with harness.runtime.streams.attach(handle) as session:
            pass
        assert await session.exit_code() is None
        seen = await harness.runtime.containers.inspect(handle)
        assert (seen.state, seen.exit_code) == ("running", None)
