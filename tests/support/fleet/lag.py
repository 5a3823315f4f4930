# SPDX-License-Identifier: Apache-2.0
"""Watch lag: from etcd's answer to a write until a client that watches at an API server is told of it.

The write changes nothing: a container's wish is written again as it is.
"""

import asyncio
import time
from typing import Any

import aiohttp

from support.fleet.orders import begin, obey
from support.fleet.reading import connect
from zun.store import keys
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Put

_PATIENCE_SECONDS = 30.0


class Lag:
    """Probes one container."""

    def __init__(self, store: EtcdStore) -> None:
        self._store = store
        self._told: dict[int, float] = {}
        self._news = asyncio.Event()

    async def measure(self, order: dict[str, Any]) -> list[float]:
        """So many probes a second for so many seconds; the lag of each in seconds."""
        headers = {"X-Auth-Token": order["token"], "OpenStack-API-Version": "container 1.40"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_PATIENCE_SECONDS)
        async with (
            aiohttp.ClientSession(order["url"], headers=headers, timeout=timeout) as session,
            session.get("/v1/watch", params={"container": order["uuid"]}) as response,
        ):
            response.raise_for_status()
            reading = asyncio.create_task(self._read(response))
            try:
                return await self._probe(order)
            finally:
                reading.cancel()

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        async for line in response.content:
            if line.startswith(b"id: "):
                self._told[int(line[4:])] = time.monotonic()
                self._news.set()

    async def _probe(self, order: dict[str, Any]) -> list[float]:
        key = keys.container(order["uuid"])
        stored = await self._store.get(key)
        assert stored is not None, "probe a container that is there"
        lags = []
        begin = time.monotonic()
        for number in range(int(order["seconds"] * order["per_second"])):
            await asyncio.sleep(max(0.0, begin + number / order["per_second"] - time.monotonic()))
            written = await self._store.transact([], [Put(key, stored.value)])
            acknowledged = time.monotonic()
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while written.revision not in self._told:
                    self._news.clear()
                    await self._news.wait()
            lags.append(self._told.pop(written.revision) - acknowledged)
        return lags


async def run(endpoint: str) -> None:
    """Obey."""
    await obey({"measure": Lag(await connect(endpoint)).measure})


if __name__ == "__main__":
    begin(run, __doc__)
