# SPDX-License-Identifier: Apache-2.0
"""Files copied in and out of containers, running or not, by a process inside their root (see `zun.drivers.runtime.host.rooted`).

While a container runs its root lies mounted where containerd put it; else its snapshot is mounted for the time of the copy. Two mounts
of one snapshot must not be: so who starts or removes the container lets copies end for a moment, and then ends them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.calls import ContainerdCalls
from zun.drivers.runtime.cri.handles import Identity, identity_of
from zun.drivers.runtime.cri.making import SNAPSHOTTER, Making
from zun.drivers.runtime.cri.places import Places
from zun.drivers.runtime.host.rooted.client import Bind, Root, Rooted, Snapshot
from zun.drivers.runtime.types import PathStat
from zun.model.errors import NotFound, Unavailable

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

    async def end(self, handle: str, why: str, *, at_once: bool = False) -> None:
        """Let copies of a container end by themselves for a moment, then end them. Its lock is held, so none begins."""
        if not at_once:
            try:
                async with asyncio.timeout(_GRACE_SECONDS), self._done:
                    await self._done.wait_for(lambda: not self._working.get(handle))
            except TimeoutError:
                pass
        for rooted in list(self._working.get(handle, ())):
            rooted.cut_short = why
            await rooted.close()

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
        request = cd.MountsRequest(snapshotter=SNAPSHOTTER, key=newest.id)
        told = await self._containerd.mounts(request, "show the container's file system")
        if len(told.mounts) != 1:
            raise Unavailable("The container's file system is not as it should be; look at the engine's storage.")
        mount = told.mounts[0]
        return Root(at, mount=Snapshot(mount.type, mount.source, list(mount.options)), binds=binds)
