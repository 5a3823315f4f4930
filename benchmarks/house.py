# SPDX-License-Identifier: Apache-2.0
"""A whole `zund all` in a process and a directory of its own, started, timed and stopped for a measurement.

Python may be told not to keep bytecode (PYTHONDONTWRITEBYTECODE); a service that is started twice has it. So it is kept
here, in a directory that all runs share and that is filled by a first start that is not counted.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from lab.ports import free_port

ZUND = Path(sys.executable).with_name("zund")
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
NEWEST = "container 1.40"
CONFIG = (
    "[quota]\ncontainers = -1\ncpu = -1\nmemory = -1\ndisk = -1\n"
    "[compute]\ncpu_allocation_ratio = 10000\nram_allocation_ratio = 10000\n"
)
"""No limits: neither quota nor the size of a made-up machine is what is measured."""


@dataclass(frozen=True)
class House:
    """A running service: its process, where it answers, who may ask, how long its start took, what its engine objects are labelled."""

    pid: int
    url: str
    token: str
    state_dir: Path
    ready_seconds: float
    owner: str

    def session(self) -> aiohttp.ClientSession:
        """A client that is let in; as many connections as are needed."""
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": NEWEST}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        connector = aiohttp.TCPConnector(limit=0)
        return aiohttp.ClientSession(self.url, headers=headers, timeout=timeout, connector=connector)


def environment(bytecode: Path) -> dict[str, str]:
    """Ours, with bytecode kept in `bytecode`."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | {"PYTHONPYCACHEPREFIX": str(bytecode)}


@asynccontextmanager
async def house(bytecode: Path, *, runtime: str, config: str = CONFIG) -> AsyncIterator[House]:
    """The service on the embedded store until the context ends; then it and its directory are gone (containers are not)."""
    with tempfile.TemporaryDirectory(prefix="zun-bench-") as name:
        directory = Path(name)
        (directory / "zun.conf").write_text(config)
        port = free_port()
        command = [str(ZUND), "all", "--state-dir", str(directory), "--listen", f"127.0.0.1:{port}"]
        command += ["--runtime", runtime, "--config", str(directory / "zun.conf")]
        begin = time.perf_counter()
        with (directory / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, stderr=log, env=environment(bytecode))
        try:
            url = f"http://127.0.0.1:{port}"
            ready = await _ready(process, port, begin, directory / "log")
            token = json.loads((directory / "local.json").read_text())["token"]
            owner = json.loads((directory / "node.json").read_text())["owner"]
            yield House(process.pid, url, token, directory, ready, owner)
        finally:
            await _stop(process)


async def _ready(process: asyncio.subprocess.Process, port: int, begin: float, log: Path) -> float:
    """Seconds until /healthcheck says 200 for the first time, asked every 5 ms over raw sockets."""
    asked = f"GET /healthcheck HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    async with asyncio.timeout(READY_SECONDS):
        while process.returncode is None:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(asked)
                answered = await reader.read()
                writer.close()
                if answered.startswith(b"HTTP/1.1 200"):
                    return time.perf_counter() - begin
            except OSError:
                pass
            await asyncio.sleep(0.005)
    raise SystemExit(f"zund ended with {process.returncode}; its log:\n{await asyncio.to_thread(log.read_text)}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
