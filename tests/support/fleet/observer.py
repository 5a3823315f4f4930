# SPDX-License-Identifier: Apache-2.0
"""Watches the store beside everybody: when each container was accepted, placed and running, and what is written at all.

Moments are those at which etcd told this process; it reads nothing but keys and one word of the values, so it is hardly ever behind.
"""

import asyncio
import time
from collections import Counter
from typing import Any

from support.fleet.orders import begin, obey
from support.fleet.reading import connect
from zun.store import keys
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Event, Put

ACCEPTED, PLACED, RUNNING, GONE = range(4)
PROBE = f"{keys.TOUCHED}probe"

_RUNNING = b'"state":"running"'


class Observer:
    """What was seen since the last `forget`."""

    def __init__(self, store: EtcdStore) -> None:
        self._store = store
        self._moments: dict[str, list[float]] = {}
        self._written: Counter[str] = Counter()
        self._revision = 0
        self._seen_more = asyncio.Event()

    async def watch(self) -> None:
        """Follow everything that is watched by API servers and controllers."""
        async with self._store.watch(keys.VIEW, from_revision=await self._store.revision() + 1) as batches:
            async for batch in batches:
                now = time.monotonic()
                for event in batch.events:
                    self._take(event, now)
                self._revision = batch.revision
                self._seen_more.set()

    def _take(self, event: Event, now: float) -> None:
        key = event.kv.key
        if key.startswith(keys.CONTAINERS):
            self._written["wish"] += 1
            self._mark(key, GONE if event.deleted else ACCEPTED, now)
        elif key.startswith(keys.PLACES):
            self._written["place"] += 1
            if not event.deleted:
                self._mark(key, PLACED, now)
        elif key.startswith(keys.OUT):
            kind = key.removeprefix(keys.OUT).split("/", 2)[1]
            self._written[kind] += 1
            if kind == "s" and _RUNNING in event.kv.value:
                self._mark(key, RUNNING, now)

    def _mark(self, key: str, what: int, now: float) -> None:
        found = self._moments.setdefault(key.rpartition("/")[2], [0.0] * 4)
        if not found[what]:
            found[what] = now

    async def forget(self, _: dict[str, Any]) -> None:
        """Begin anew."""
        self._moments.clear()
        self._written.clear()

    async def moments(self, _: dict[str, Any]) -> dict[str, list[float]]:
        """By container: accepted, placed, running, gone; 0 where it did not happen."""
        return self._moments

    async def written(self, _: dict[str, Any]) -> dict[str, int]:
        """How many writes of each kind, once everything that was acknowledged before has been seen."""
        until = (await self._store.transact([], [Put(PROBE, b"")])).revision
        while self._revision < until:
            self._seen_more.clear()
            await self._seen_more.wait()
        return self._written


async def run(endpoint: str) -> None:
    """Watch and obey."""
    store = await connect(endpoint)
    observer = Observer(store)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(observer.watch())
        await obey({"forget": observer.forget, "moments": observer.moments, "written": observer.written})
        raise SystemExit(0)


if __name__ == "__main__":
    begin(run, __doc__)
