# SPDX-License-Identifier: Apache-2.0
"""Files copied in and out of containers, running or not, by a process inside their root (see `zun.drivers.runtime.host.rooted`).

While a container runs its root lies mounted where containerd put it; else its snapshot is mounted for the time of the copy. Two mounts
of one snapshot must not be: so who starts or removes the container lets copies end for a moment, and then ends them.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.calls import SNAPSHOTTER, ContainerdCalls
from zun.drivers.runtime.cri.handles import Identity, identity_of
from zun.drivers.runtime.cri.making import Making
from zun.drivers.runtime.cri.places import Places
from zun.drivers.runtime.host.rooted.client import Bind, Root, Rooted, Snapshot
from zun.drivers.runtime.types import PathStat
from zun.model.errors import Invalid, NotFound, Unavailable

_GRACE_SECONDS = 3.0


class Archives:
    """Copies of one driver. `task_root` is where containerd keeps the roots of what runs."""

    def __init__(
        self,
        containerd: ContainerdCalls,
        attempts: Attempts,
        making: Making,
        places: Places,
        *,
        task_root: Path,
        idle_seconds: float,
    ) -> None:
        self._containerd = containerd
        self._attempts = attempts
        self._making = making
        self._places = places
        self._task_root = task_root
        self._idle_seconds = idle_seconds
        self._working: dict[str, set[Rooted]] = {}
        self._done = asyncio.Condition()
        self._filling: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def get(self, handle: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of what lies at `path`."""
        async with self._begun("get", handle, path) as (rooted, stat):
            if stat is None:
                raise AssertionError("a get tells what lies at its path")
            yield stat, rooted.pieces()

    async def put(self, handle: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Unpack a tar into the directory `path`."""
        async with self._begun("put", handle, path) as (rooted, _):
            await rooted.send(data)

    async def fill_volumes(self, container_id: str, volumes: Mapping[str, Path]) -> None:
        """Give new volumes what the image has where they will be mounted, owners and modes too.

        The container was just made and its lock is held. A volume that two new containers have is filled once, before either begins.
        """
        for destination, volume in volumes.items():
            async with self._filling.setdefault(str(volume), asyncio.Lock()):
                if self._places.is_new_volume(volume):
                    await self._fill(container_id, destination, volume)
                    self._places.volume_is_filled(volume)

    async def _fill(self, container_id: str, destination: str, volume: Path) -> None:
        places = [self._places.new_mount() for _ in range(2)]
        inside, outside = None, None
        try:
            mount = await self._snapshot(container_id)
            inside, _ = await Rooted.begin(
                "get", Root(places[0], mount=mount), f"{destination}/.", idle_seconds=self._idle_seconds
            )
            outside, _ = await Rooted.begin(
                "put", Root(places[1], directory=str(volume)), "/", idle_seconds=self._idle_seconds
            )
            await outside.send(inside.pieces())
        except (NotFound, Invalid):
            return  # the image has no such directory
        finally:
            for rooted in (inside, outside):
                if rooted is not None:
                    await rooted.close()
            for place in places:
                self._places.drop_mount(place)

    async def end(self, handle: str, why: str, *, at_once: bool = False) -> None:
        """Let copies of a container end by themselves for a moment, then end them. Its lock is held, so none begins."""
        if not at_once:
            try:
                async with asyncio.timeout(_GRACE_SECONDS), self._done:
                    await self._done.wait_for(lambda: not self._working.get(handle))
            except TimeoutError:
                pass
        for rooted in list(self._working.get(handle, ())):
            await rooted.cut(why)

    @asynccontextmanager
    async def _begun(self, verb: str, handle: str, path: str) -> AsyncIterator[tuple[Rooted, PathStat | None]]:
        which = identity_of(handle)
        at = self._places.new_mount()
        rooted: Rooted | None = None
        try:
            async with self._attempts.lock(handle):
                root = await self._root(which, at)
                rooted, stat = await Rooted.begin(verb, root, path, idle_seconds=self._idle_seconds)
                self._working.setdefault(handle, set()).add(rooted)
            yield rooted, stat
        finally:
            if rooted is not None:
                await rooted.close()
                async with self._done:
                    self._working[handle].discard(rooted)
                    if not self._working[handle]:
                        del self._working[handle]
                    self._done.notify_all()
            self._places.drop_mount(at)

    async def _root(self, which: Identity, at: str) -> Root:
        attempts = await self._attempts.of(which)
        if not attempts:
            raise NotFound(f"There is no container {which.handle} here; list the containers.")
        *older, newest = attempts
        binds = tuple(Bind(mount.host_path, mount.container_path) for mount in self._making.mounts(which))
        if newest.state == cri.CONTAINER_RUNNING:
            return Root(at, directory=str(self._task_root / newest.id / "rootfs"), binds=binds)
        for old in older:
            await self._making.carry_over(old.id, newest.id)
        return Root(at, mount=await self._snapshot(newest.id), binds=binds)

    async def _snapshot(self, container_id: str) -> Snapshot:
        request = cd.MountsRequest(snapshotter=SNAPSHOTTER, key=container_id)
        told = await self._containerd.mounts(request, "show the container's file system")
        if len(told.mounts) != 1:
            raise Unavailable("The container's file system is not as it should be; look at the engine's storage.")
        mount = told.mounts[0]
        return Snapshot(mount.type, mount.source, list(mount.options))
