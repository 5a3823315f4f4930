# SPDX-License-Identifier: Apache-2.0
"""Connections into a container's network: whose network that is gets looked at closely, and nobody ends up in the machine's own."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zun.base.network_namespaces import own_identity
from zun.drivers.runtime.host.tunnels import tunnel
from zun.model.errors import Conflict, Unsupported

MARK = "no-group-has-this-name"


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this machine's own network that runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called as gVisor's are."""
    program = tmp_path / "runsc-sandbox"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "1000"]) as process:
        yield process
        process.kill()


def group_of(pid: int) -> str:
    """A control group that a process is in, which stands for a container's id here."""
    return max((line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()), key=len)


def open_files() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_what_shares_the_machines_network_is_refused(neighbour: subprocess.Popen[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with pytest.raises(Unsupported, match="no network of its own"):
            async with tunnel(group_of(neighbour.pid), neighbour.pid, listening.getsockname()[1]):
                raise AssertionError("it opened")
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_a_process_of_another_container_is_refused(neighbour: subprocess.Popen[bytes]) -> None:
    """Its number may be one that was given anew."""
    with pytest.raises(Unsupported, match="cannot be found on its node"):
        async with tunnel(MARK, neighbour.pid, 80):
            raise AssertionError("it opened")


async def test_a_process_of_gvisor_is_refused(sandbox: subprocess.Popen[bytes]) -> None:
    """What it runs in has a network of its own inside, and the machine's side of it leads nowhere."""
    with pytest.raises(Unsupported, match="runs in gVisor"):
        async with tunnel(group_of(sandbox.pid), sandbox.pid, 80):
            raise AssertionError("it opened")


async def test_a_process_that_is_gone_is_a_container_that_has_ended(neighbour: subprocess.Popen[bytes]) -> None:
    neighbour.kill()
    neighbour.wait()
    for pid in (neighbour.pid, 0):
        with pytest.raises(Conflict, match="has just ended"):
            async with tunnel(MARK, pid, 80):
                raise AssertionError("it opened")


async def test_who_stops_waiting_leaves_no_open_files(neighbour: subprocess.Popen[bytes]) -> None:
    before = open_files()
    for _ in range(20):
        opening = asyncio.create_task(tunnel(MARK, neighbour.pid, 80).__aenter__())
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
    async with asyncio.timeout(20):
        while open_files() > before:  # noqa: ASYNC110 - looks at state that has no event
            await asyncio.sleep(0.01)


def test_the_thread_of_this_process_stays_where_it_was() -> None:
    assert own_identity() == own_identity(os.getpid())
