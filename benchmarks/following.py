# SPDX-License-Identifier: Apache-2.0
"""What happens to containers, as a client that watches sees it: one stream of events, many who wait."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

GONE = "Gone"


class Following:
    """Remembers the moment at which each container was first seen in each status."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, float]] = {}
        self._waiting: dict[tuple[str, str], asyncio.Future[float]] = {}

    async def until(self, uuid: str, status: str, timeout_seconds: float = 60) -> float:
        """The moment (of `time.perf_counter`) at which it was seen so. Raises `TimeoutError`; `SystemExit` if it ends in Error."""
        moment = self.seen.get(uuid, {}).get(status)
        if moment is not None:
            return moment
        future = self._waiting.setdefault((uuid, status), asyncio.get_running_loop().create_future())
        async with asyncio.timeout(timeout_seconds):
            return await future

    def forget(self, uuid: str) -> None:
        """Nobody asks for it any more."""
        self.seen.pop(uuid, None)

    def take(self, event: str, data: dict[str, Any]) -> None:
        """An event of the stream."""
        now = time.perf_counter()
        container = data.get("container", data)
        uuid, status = container.get("uuid"), GONE if event == "deleted" else container.get("status")
        if uuid is None:
            return
        self.seen.setdefault(uuid, {}).setdefault(status, now)
        future = self._waiting.pop((uuid, status), None)
        if future is not None and not future.done():
            future.set_result(now)
        if status == "Error":
            raise SystemExit(f"container {uuid} failed: {container.get('status_reason')}")


@asynccontextmanager
async def following(session: aiohttp.ClientSession) -> AsyncIterator[Following]:
    """Watch the caller's project while the context lasts."""
    told = Following()
    async with session.get("/v1/watch", read_bufsize=1 << 20) as response, asyncio.TaskGroup() as tasks:
        response.raise_for_status()
        ready = asyncio.Event()

        async def read() -> None:
            event = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    event = line[7:].strip().decode()
                    if event == "ready":
                        ready.set()
                elif line.startswith(b"data: ") and event != "ready":
                    told.take(event, json.loads(line[6:]))

        reading = tasks.create_task(read())
        async with asyncio.timeout(10):
            await ready.wait()
        yield told
        reading.cancel()
