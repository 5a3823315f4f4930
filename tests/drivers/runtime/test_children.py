# SPDX-License-Identifier: Apache-2.0
"""Processes of our own: their pipes, their ends, and that none is left."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from zun.drivers.runtime.host.children import Child, run
from zun.model.errors import Conflict, Timeout, Unavailable


async def test_a_program_is_run_to_its_end() -> None:
    assert await run(["sh", "-c", "cat; pwd; echo oops >&2; exit 3"], seconds=20, cwd="/etc") == (
        3,
        b"/etc\n",
        b"oops\n",
    )


async def test_what_is_missing_and_what_does_not_end_is_told() -> None:
    with pytest.raises(Unavailable, match="no-such-program"):
        await run(["no-such-program"], seconds=20)
    with pytest.raises(Timeout):
        await run(["sleep", "1000"], seconds=0.2)


async def test_megabytes_go_in_and_come_out_in_step() -> None:
    child = await Child.start(["cat"])
    data = os.urandom(3 << 20)

    async def send() -> None:
        await child.stdin.write(data)
        child.stdin.close()

    async def receive() -> bytes:
        got = b""
        while piece := await child.stdout.read():
            got += piece
        return got

    _, got = await asyncio.gather(send(), receive())
    assert got == data
    assert await child.wait() == 0
    await child.close()


async def test_who_writes_to_what_has_ended_is_told(tmp_path: Path) -> None:
    child = await Child.start(["true"])
    assert await child.wait() == 0
    with pytest.raises(Conflict):
        await child.stdin.write(b"late")
    assert await child.stdout.read() == b""
    await child.close()


async def test_one_that_is_killed_tells_the_signal_and_leaves_no_descriptor() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))  # noqa: ASYNC240 - a look at ourselves
    for _ in range(3):
        child = await Child.start(["sleep", "1000"])
        child.kill()
        assert await child.wait() == -signal.SIGKILL
        await child.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before  # noqa: ASYNC240


async def test_a_start_that_is_cancelled_leaves_no_process() -> None:
    name = f"98765{os.getpid()}"
    starting = asyncio.create_task(Child.start(["sleep", name]))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    async with asyncio.timeout(60):
        while _runs(name):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


def _runs(argument: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[1:2] == [argument.encode()]:
                return True
        except OSError:
            continue
    return False
