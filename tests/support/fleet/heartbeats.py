# SPDX-License-Identifier: Apache-2.0
"""Heartbeats and nothing else: leases that are kept alive as nodes do it, over one connection."""

import asyncio
from typing import Any

from support.fleet.orders import begin, obey
from support.fleet.reading import connect
from zun.agent.options import AgentOptions
from zun.store.etcd.store import EtcdStore

_TTL_SECONDS = 10
_GRANTED_AT_ONCE = 64


class Heartbeats:
    """Leases with a loop each."""

    def __init__(self, store: EtcdStore, tasks: asyncio.TaskGroup) -> None:
        self._store = store
        self._tasks = tasks
        self._sent = 0
        self._all_once = asyncio.Event()

    async def begin(self, order: dict[str, Any]) -> None:
        """Take `nodes` leases and renew them from now on, spread over the interval."""
        interval, slots = AgentOptions().heartbeat_seconds, asyncio.Semaphore(_GRANTED_AT_ONCE)

        async def one(number: int) -> None:
            async with slots:
                lease = await self._store.grant_lease(_TTL_SECONDS)
            await asyncio.sleep(interval * number / order["nodes"])
            while True:
                await self._store.keep_alive(lease)
                self._sent += 1
                if self._sent >= order["nodes"]:
                    self._all_once.set()
                await asyncio.sleep(interval)

        for number in range(order["nodes"]):
            self._tasks.create_task(one(number))
        await self._all_once.wait()

    async def sent(self, _: dict[str, Any]) -> int:
        """How many heartbeats were answered."""
        return self._sent


async def run(endpoint: str) -> None:
    """Obey."""
    store = await connect(endpoint)
    async with asyncio.TaskGroup() as tasks:
        heartbeats = Heartbeats(store, tasks)
        await obey({"begin": heartbeats.begin, "sent": heartbeats.sent})
        raise SystemExit(0)


if __name__ == "__main__":
    begin(run, __doc__)
