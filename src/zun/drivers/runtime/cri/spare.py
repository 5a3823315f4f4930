# SPDX-License-Identifier: Apache-2.0
"""A snapshot of nothing, kept to be removed.

A containerd that dies while it makes a snapshot may leave the directory of one that it knows nothing of, and gives that one's number
away again: until the directory is gone nothing can be made any more, neither containers nor images. containerd looks for such
directories only after a snapshot was removed, and offers no other way to have it look.
"""

import asyncio

from zun.base.ids import new_uuid
from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri.calls import SNAPSHOTTER, ContainerdCalls
from zun.model.errors import Conflict, NotFound

_KEY = "zun-spare"
_KEEP = {"containerd.io/gc.root": "kept by zun"}


class Spare:
    """The one spare snapshot of this containerd."""

    def __init__(self, containerd: ContainerdCalls) -> None:
        self._containerd = containerd
        self._lock = asyncio.Lock()

    async def keep(self) -> None:
        """Have one."""
        request = cd.PrepareRequest(snapshotter=SNAPSHOTTER, key=_KEY, labels=_KEEP)
        try:
            await self._containerd.prepare_snapshot(request, "make a spare snapshot")
        except Conflict:
            return  # it is there

    async def spend(self) -> None:
        """Remove it, have containerd clear away what belongs to no snapshot, and make the next."""
        async with self._lock:
            try:
                request = cd.RemoveSnapshotRequest(snapshotter=SNAPSHOTTER, key=_KEY)
                await self._containerd.remove_snapshot(request, "remove a spare snapshot")
            except NotFound:
                pass  # another driver has just done the same
            lease = f"zun-{new_uuid()}"
            await self._containerd.make_lease(cd.CreateLeaseRequest(id=lease), "collect what nothing refers to")
            await self._containerd.delete_lease(
                cd.DeleteLeaseRequest(id=lease, sync=True), "collect what nothing refers to"
            )
            await self.keep()
