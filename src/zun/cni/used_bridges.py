# SPDX-License-Identifier: Apache-2.0
"""Which bridges there are: made when they are needed, removed when nobody has been on them for a while."""

from collections.abc import Callable

import msgspec

from zun.base.keyed_locks import KeyedLocks
from zun.cni import bridges
from zun.cni.bridges import Bridge
from zun.cni.links import link_index, link_names
from zun.cni.names import BRIDGE_PREFIX
from zun.cni.workers import Workers


class UsedBridges:
    """The bridges of this machine. `used` tells which are needed, by name; ask for one only after it is among those."""

    def __init__(self, workers: Workers, used: Callable[[], set[str]]) -> None:
        self._workers = workers
        self._used = used
        self._locks: KeyedLocks[str] = KeyedLocks()
        self._ready: dict[str, Bridge] = {}
        self._idle: set[str] = set()

    async def ensure(self, wanted: Bridge) -> None:
        """It is there, with these gateways. Costs next to nothing when it was made or looked at before. Raises `ZunError`."""
        async with self._locks.holding(wanted.name):
            ready = self._ready.get(wanted.name)
            if ready is not None and ready.gateways >= wanted.gateways and link_index(wanted.name):
                return
            await self._workers.do(lambda deadline: bridges.ensure(wanted, deadline))
            gateways = wanted.gateways | (ready.gateways if ready is not None else frozenset())
            self._ready[wanted.name] = msgspec.structs.replace(wanted, gateways=gateways)

    async def look_again(self, wanted: Bridge) -> None:
        """It is there, whatever was known of it. Raises `ZunError`."""
        self._ready.pop(wanted.name, None)
        await self.ensure(wanted)

    async def tidy(self) -> None:
        """Remove those that nobody was on at this call and at the one before. Raises `ZunError`."""
        there = {name for name in await self._workers.do(lambda _: link_names()) if name.startswith(BRIDGE_PREFIX)}
        unused = there - self._used()
        for name in sorted(unused & self._idle):
            await self._remove(name)
        self._idle = unused

    async def _remove(self, name: str) -> None:
        async with self._locks.holding(name):
            if name not in self._used():
                self._ready.pop(name, None)
                await self._workers.do(lambda deadline: bridges.remove([name], deadline))
