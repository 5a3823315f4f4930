# SPDX-License-Identifier: Apache-2.0
"""Making attempts: a sandbox, a container in it, and for a later attempt the files of the one before.

The writable layer goes over by moving the content of the old layer's directory into the new one's: both lie on the same disk, so it
takes no time and no space, whatever is in it. Neither is mounted then: the old one has ended, the new one has not begun.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from zun.base.listening import is_listening
from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels
from zun.drivers.runtime.cri import request as wording
from zun.drivers.runtime.cri.calls import SNAPSHOTTER, ContainerdCalls, RuntimeCalls
from zun.drivers.runtime.cri.handles import Identity
from zun.drivers.runtime.cri.options import CriOptions
from zun.drivers.runtime.cri.places import Places, Record
from zun.drivers.runtime.cri.plugging import Plugging
from zun.drivers.runtime.cri.resolving import name_servers
from zun.drivers.runtime.cri.sandboxes import Sandboxes
from zun.drivers.runtime.cri.seen import sandbox_addresses
from zun.drivers.runtime.types import SandboxRequest
from zun.model.attachments import PublishedPort, in_use
from zun.model.errors import Conflict, Internal, Unsupported

_UPPER = "upperdir="


class Making:
    """Makes sandboxes and containers of one owner from records."""

    def __init__(
        self,
        calls: RuntimeCalls,
        containerd: ContainerdCalls,
        sandboxes: Sandboxes,
        places: Places,
        plugging: Plugging,
        *,
        owner: str,
        options: CriOptions,
    ) -> None:
        self._calls = calls
        self._containerd = containerd
        self._sandboxes = sandboxes
        self._places = places
        self._plugging = plugging
        self._owner = owner
        self._options = options

    async def sandbox(self, which: Identity, record: Record, attempt: int) -> str:
        """A sandbox for a container, with the container's hosts file naming its address."""
        handler = record.request.runtime or self._options.default_runtime
        await _refuse_taken(record.request.published)
        sandbox_id = await self._sandboxes.run(
            self._config(which, record, attempt, self._places.groups.of_sandbox(which.handle)), handler
        )
        if record.request.unplugged:
            await self._plugging.confirm(which, sandbox_id)
        addresses = sandbox_addresses(await self._sandboxes.status(sandbox_id))
        self._places.write_hosts(which.handle, wording.hostname(record.request), addresses)
        return sandbox_id

    async def pod(self, request: SandboxRequest, network: str) -> str:
        """A sandbox for a capsule."""
        which = Identity(request.uuid, request.generation)
        await _refuse_taken(request.published)
        config = wording.pod(
            request,
            owner=self._owner,
            network=network,
            dns=name_servers(self._options.dns_servers),
            group=self._places.groups.of_sandbox(which.handle),
        )
        await asyncio.to_thread(self._places.expect, which.handle)  # a call that is cut off leaves a control group
        sandbox_id = await self._sandboxes.run(config, request.runtime or self._options.default_runtime)
        if request.unplugged:
            await self._plugging.confirm(which, sandbox_id)
        return sandbox_id

    async def unmake_pod(self, which: Identity, sandbox_id: str) -> None:
        """Remove it with its control group."""
        await self._sandboxes.discard(sandbox_id)
        await asyncio.to_thread(self._places.forget, which.handle)

    async def joined(self, which: Identity, record: Record) -> str:
        """The sandbox that a capsule's container joins, with the container's hosts file naming its address. Raises `NotFound`, `Conflict`."""
        status = await self._sandboxes.status(record.request.sandbox)
        if status.state != cri.SANDBOX_READY or self._sandboxes.capsule(status) is None:
            raise Conflict("The sandbox of the container's capsule has ended; remove it and make another.")
        name = status.annotations.get(labels.HOSTNAME, "")
        self._places.write_hosts(which.handle, name, sandbox_addresses(status))
        return status.id

    async def container(
        self, which: Identity, record: Record, *, sandbox_id: str, sandbox_attempt: int, attempt: int, ran: bool
    ) -> cri.Container:
        """A container in a sandbox, not started."""
        config = wording.container(
            record,
            owner=self._owner,
            attempt=attempt,
            ran=ran,
            mounts=self.mounts(which, record),
            options=self._options,
        )
        # The engine takes a container's control group from what it is told of the sandbox here, not from the sandbox.
        sandbox_config = self._config(which, record, sandbox_attempt, self._places.groups.of_container(which.handle))
        request = cri.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config)
        made = await self._calls.create(request, "create the container")
        return cri.Container(
            id=made.container_id, pod_sandbox_id=sandbox_id, metadata=config.metadata, labels=config.labels
        )

    async def carry_over(self, old_id: str, new_id: str) -> None:
        """Give the new attempt the files of the old one. May be repeated after a crash in the middle."""
        old, new = await self._layer(old_id), await self._layer(new_id)
        await asyncio.to_thread(_move_content, old, new)

    def _config(self, which: Identity, record: Record, attempt: int, group: str) -> cri.PodSandboxConfig:
        return wording.sandbox(
            record.request,
            owner=self._owner,
            attempt=attempt,
            log_directory=self._places.log_directory(which.handle),
            dns=name_servers(self._options.dns_servers),
            group=group,
        )

    def mounts(self, which: Identity, record: Record | None = None) -> list[cri.Mount]:
        """What of the machine a container sees: its hosts file, its volumes, its injected files."""
        record = record or self._places.record(which.handle)
        mounts = [cri.Mount(container_path="/etc/hosts", host_path=str(self._places.hosts(which.handle)))]
        read_only = {volume.destination for volume in record.request.volumes if volume.read_only}
        mounts += [
            cri.Mount(container_path=destination, host_path=str(path), readonly=destination in read_only)
            for destination, path in self.volumes(which, record).items()
        ]
        files = record.request.files
        return mounts + [cri.Mount(container_path=file.destination, host_path=file.host_path) for file in files]

    def volumes(self, which: Identity, record: Record) -> dict[str, Path]:
        """The container's volumes by destination: those the image declares, and those the request names."""
        found = {
            destination: self._places.image_volume(which.handle, number)
            for number, destination in enumerate(record.image_volumes)
        }
        return found | {volume.destination: self._places.volume(volume.name) for volume in record.request.volumes}

    async def _layer(self, container_id: str) -> Path:
        request = cd.MountsRequest(snapshotter=SNAPSHOTTER, key=container_id)
        told = await self._containerd.mounts(request, "show the container's file system")
        for mount in told.mounts:
            for option in mount.options:
                if option.startswith(_UPPER):
                    return Path(option.removeprefix(_UPPER))
        raise Unsupported(
            "This engine's storage cannot be moved to a new attempt; use containerd's overlayfs snapshotter."
        )


async def _refuse_taken(published: Iterable[PublishedPort]) -> None:
    """What comes to a published port never reaches a program that listens there. Raises `Conflict`."""
    for port in published:
        if await asyncio.to_thread(is_listening, port.protocol, port.host_port, port.host_address):
            raise in_use(port)


def _move_content(old: Path, new: Path) -> None:
    """Nothing is followed on the way: names of the old directory become names of the new one."""
    try:
        for path in list(old.iterdir()):
            path.rename(new / path.name)
        told = old.stat()
        os.chown(new, told.st_uid, told.st_gid)
        new.chmod(told.st_mode & 0o7777)
        for attribute in os.listxattr(old):
            os.setxattr(new, attribute, os.getxattr(old, attribute))
    except OSError as error:
        raise Internal(
            f"The container's files could not be taken over by its new start: {error.strerror}. Look at the engine's storage."
        ) from error
