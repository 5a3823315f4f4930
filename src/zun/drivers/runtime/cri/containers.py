# SPDX-License-Identifier: Apache-2.0
"""Life of containers on a CRI engine: the `Containers` part of the port.

One container is one sandbox with one container in it. The engine's container runs once: starting it again makes another attempt in
the same sandbox, or in a new one when that is gone (the machine was started anew), with the files of the attempt before.
"""

import asyncio
import logging
import signal as signals
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec

from zun.base.clock import Clock
from zun.base.side_by_side import side_by_side
from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels, seen
from zun.drivers.runtime.cri import request as wording
from zun.drivers.runtime.cri.archives import Archives
from zun.drivers.runtime.cri.attempts import Attempts, shown_of
from zun.drivers.runtime.cri.calls import ContainerdCalls, RuntimeCalls
from zun.drivers.runtime.cri.events import Events
from zun.drivers.runtime.cri.fingerprint import engine_config, fingerprint, handlers
from zun.drivers.runtime.cri.handles import Identity, identity_of
from zun.drivers.runtime.cri.images import CriImages
from zun.drivers.runtime.cri.making import Making
from zun.drivers.runtime.cri.networks import CriNetworks
from zun.drivers.runtime.cri.options import CriOptions
from zun.drivers.runtime.cri.places import Places, Record
from zun.drivers.runtime.cri.sandboxes import Sandboxes
from zun.drivers.runtime.cri.starts import Starts
from zun.drivers.runtime.host.cgroups import bound_processes
from zun.drivers.runtime.types import ContainerRequest, Fingerprint, RuntimeEvent, SandboxRequest, Seen
from zun.model.errors import Conflict, Internal, Invalid, NotFound, Timeout, Unavailable, Unsupported, ZunError

_log = logging.getLogger(__name__)

_LOOKS_AT_ONCE = 8
_STOP_SLACK_SECONDS = 30.0
_NANO = 1_000_000_000


class CriContainers:
    """Implements `Containers` on a CRI engine, for one owner."""

    def __init__(
        self,
        calls: RuntimeCalls,
        containerd: ContainerdCalls,
        *,
        attempts: Attempts,
        starts: Starts,
        sandboxes: Sandboxes,
        making: Making,
        places: Places,
        images: CriImages,
        networks: CriNetworks,
        archives: Archives,
        events: Events,
        clock: Clock,
        options: CriOptions,
    ) -> None:
        self._calls = calls
        self._containerd = containerd
        self._attempts = attempts
        self._starts = starts
        self._sandboxes = sandboxes
        self._making = making
        self._places = places
        self._images = images
        self._networks = networks
        self._archives = archives
        self._events = events
        self._clock = clock
        self._options = options
        self._handlers: list[str] = []

    async def fingerprint(self) -> Fingerprint:
        """What the engine can do and what its machine has."""
        version = await self._calls.version(cri.VersionRequest(), "describe itself")
        status = await self._calls.status(cri.StatusRequest(verbose=True), "describe itself")
        self._handlers = handlers(engine_config(status))
        networks = self._networks.learn(status)
        return fingerprint(version, status, networks, maps_ports=self._networks.maps_ports)

    async def inspect(self, handle: str) -> Seen:
        """One container now."""
        return await self._look(identity_of(handle))

    async def list(self) -> list[Seen]:
        """All of this owner's."""
        attempts = await self._attempts.all()

        async def look(which: Identity) -> Seen | None:
            try:
                self._attempts.show(which, shown_of(attempts[which]))
                return await self._look(which)
            except NotFound:
                return None  # removed since it was listed

        found = await side_by_side(attempts, look, at_once=_LOOKS_AT_ONCE)
        return [one for one in found if one is not None]

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[RuntimeEvent]]:
        """What happens from now on."""
        return self._events.listen()

    async def create(self, request: ContainerRequest) -> str:
        """Make its sandbox and the container in it, not started. A sandbox that a crash left without a container is made anew."""
        which = Identity(request.uuid, request.generation)
        identity_of(which.handle)
        wording.check(request)
        if not self._handlers:
            await self.fingerprint()
        network = await self.network_for(request)
        if request.runtime and request.runtime not in self._handlers:
            usable = ", ".join(self._handlers)
            raise Invalid(f"There is no runtime {request.runtime} on this node; choose one of: {usable}.")
        async with self._attempts.lock(which.handle):
            if attempts := await self._attempts.of(which):
                if attempts[-1].state == cri.CONTAINER_UNKNOWN:
                    await self._renew(which, attempts)
                return which.handle
            image, volumes = await self._images.look(request.image)
            attempt = await self._discard_sandboxes(which)
            mounted = {volume.destination for volume in request.volumes} | {file.destination for file in request.files}
            record = Record(
                request=request,
                image_id=image.id,
                ports=wording.exposed(request, image.exposed_ports),
                image_volumes=tuple(path for path in volumes if path not in mounted),
                network=network,
                created_at=round(self._clock.now() * _NANO),
            )
            await self._make_first(which, record, attempt)
        return which.handle

    async def network_for(self, request: ContainerRequest | SandboxRequest) -> str:
        """The engine's network that it will be on; "" for what the service plugs in. Raises `NotFound`, `Invalid`, `Unavailable`."""
        if not request.unplugged:
            return self._networks.choose(request.networks)
        if not self._networks.by_service:
            await self.fingerprint()  # it may have been set up since
        self._networks.require_service()
        return ""

    async def start(self, handle: str) -> None:
        """Start it; already running is no error."""
        which = identity_of(handle)
        async with self._attempts.lock(handle):
            attempts = await self._attempts.of(which)
            if not attempts:
                raise NotFound(f"There is no container {handle} here; list the containers.")
            if attempts[-1].state == cri.CONTAINER_RUNNING:
                return
            await self._archives.end(handle, "the container was started")
            if attempts[-1].state != cri.CONTAINER_CREATED or await self._sandbox_of(attempts[-1]) is None:
                attempts.append(await self._make_again(which, attempts[-1]))
            volumes = self._making.volumes(which, self._places.record(handle))
            await self._archives.fill_volumes(attempts[-1].id, volumes)  # those that a crash left empty
            try:
                await self._launch(which, attempts)
            except (Conflict, Internal):
                # What the engine's death cut off leaves remains of a process, which can neither be started nor made again.
                attempts.append(await self._make_again(which, attempts[-1]))
                await self._launch(which, attempts, is_last_try=True)

    async def stop(self, handle: str, timeout_seconds: int) -> None:
        """Its own stop signal, then SIGKILL after the timeout."""
        status, _ = await self._attempts.shown(identity_of(handle))
        await self._calls.stop(
            cri.StopContainerRequest(container_id=status.id, timeout=timeout_seconds),
            "stop the container",
            seconds=timeout_seconds + _STOP_SLACK_SECONDS,
        )

    async def kill(self, handle: str, signal: str) -> None:
        """Send a signal, through containerd: the CRI has no word for it."""
        status = await self._attempts.running(identity_of(handle), f"{signal} cannot be sent")
        request = cd.KillRequest(container_id=status.id, signal=_number(signal))
        try:
            await self._containerd.kill(request, f"send {signal} to the container")
        except NotFound as error:
            raise Conflict("The container has just ended; start it first.") from error

    async def pause(self, handle: str) -> None:  # noqa: ARG002 - as the port has it
        """Lacking."""
        raise Unsupported("This engine cannot pause containers.")

    async def unpause(self, handle: str) -> None:  # noqa: ARG002
        """Lacking."""
        raise Unsupported("This engine cannot pause containers.")

    async def update(self, handle: str, *, cpu: float | None, memory_mib: int | None, cpuset: str | None) -> None:
        """Change limits on the living container, and what it is started again with."""
        wording.check_limits(memory_mib, cpuset)
        which = identity_of(handle)
        async with self._attempts.lock(handle):
            status, _ = await self._attempts.shown(which)
            changes = {"cpu": cpu, "memory_mib": memory_mib, "cpuset": cpuset}
            changes = {name: value for name, value in changes.items() if value is not None}
            if not changes:
                return
            limits = wording.resources(cpu, memory_mib, cpuset, self._options.swap)
            request = cri.UpdateContainerResourcesRequest(container_id=status.id, linux=limits)
            await self._calls.update(request, "change the container's limits")
            record = self._places.record(handle)
            changed = msgspec.structs.replace(record.request, **changes)
            kept = msgspec.structs.replace(record, request=changed)
            await asyncio.to_thread(self._places.remember, handle, kept)

    async def remove(self, handle: str) -> None:
        """Remove it with its sandbox, its own volumes and its log."""
        which = identity_of(handle)
        async with self._attempts.lock(handle):
            await self._archives.end(handle, "the container was removed", at_once=True)
            await self._discard_sandboxes(which)
            for stray in await self._attempts.of(which):
                await self._remove_attempt(stray, keeping="")
            await asyncio.to_thread(self._places.forget, handle)
            self._attempts.forget(which)

    async def _look(self, which: Identity) -> Seen:
        status, sandbox_id = await self._attempts.shown(which)
        if status.state != cri.CONTAINER_RUNNING:
            return seen.container(which, status)
        sandbox = await self._sandboxes.status(sandbox_id)
        try:
            pid = await self._attempts.pid(status.id)
        except NotFound:
            pid = 0  # it has just ended
        return seen.container(which, status, sandbox, pid=pid)

    async def _make_first(self, which: Identity, record: Record, attempt: int) -> None:
        """The record is on the disk before there is a container; the disk has as long for it as the sandbox takes."""
        self._places.expect(which.handle)
        writing = asyncio.create_task(asyncio.to_thread(self._places.remember, which.handle, record))
        shared = record.request.sandbox
        try:
            for volume in self._making.volumes(which, record).values():
                self._places.make_volume(volume)
            sandbox_id = await (
                self._making.joined(which, record) if shared else self._making.sandbox(which, record, attempt)
            )
        finally:
            await asyncio.wait({writing})
        try:
            writing.result()
            made = await self._making.container(
                which, record, sandbox_id=sandbox_id, sandbox_attempt=attempt, attempt=0, ran=False
            )
            await self._archives.fill_volumes(made.id, self._making.volumes(which, record))
        except ZunError:
            if not shared:
                await self._sandboxes.discard(sandbox_id)
            raise
        self._attempts.show(which, made)

    async def _make_again(self, which: Identity, old: cri.Container) -> cri.Container:
        """The next attempt, in the sandbox there is or in a new one."""
        record = self._places.record(which.handle)
        status, sandbox = await self._attempts.status(old.id), await self._sandbox_of(old)
        if status.state == cri.CONTAINER_UNKNOWN:  # a process of it may be there
            await self._calls.stop(cri.StopContainerRequest(container_id=old.id), "stop the container")
        if record.request.sandbox:
            sandbox_id, sandbox_attempt = await self._making.joined(which, record), 0
        elif sandbox is not None:
            sandbox_id, sandbox_attempt = sandbox.id, sandbox.metadata.attempt
        else:
            sandbox_attempt = 1 + max((one.metadata.attempt for one in await self._sandboxes.list(which)), default=-1)
            sandbox_id = await self._making.sandbox(which, record, sandbox_attempt)
        made = await self._making.container(
            which,
            record,
            sandbox_id=sandbox_id,
            sandbox_attempt=sandbox_attempt,
            attempt=old.metadata.attempt + 1,
            ran=not seen.never_ran(status) or bool(status.annotations.get(labels.RAN)),
        )
        self._attempts.know(made, which)
        return made

    async def _renew(self, which: Identity, attempts: Sequence[cri.Container]) -> None:
        """Another attempt instead of one whose making the engine's death cut off."""
        made = await self._make_again(which, attempts[-1])
        for old in attempts:
            await self._making.carry_over(old.id, made.id)
        await self._take_over(which, made, attempts)

    async def _launch(self, which: Identity, attempts: Sequence[cri.Container], *, is_last_try: bool = False) -> None:
        """Start the newest with the files of the older ones; when it has begun or is known to have failed, those go."""
        *older, newest = attempts
        for old in older:
            await self._making.carry_over(old.id, newest.id)
        try:
            await self._calls.start(cri.StartContainerRequest(container_id=newest.id), "start the container")
        except ZunError as error:
            if isinstance(error, Unavailable | Timeout) or (isinstance(error, Conflict | Internal) and not is_last_try):
                self._attempts.forget(which)  # whether it began is to be seen
            else:
                await self._take_over(which, newest, older)
            raise
        await self._take_over(which, newest, older)
        self._starts.told(which.handle)
        await self._give_size(which, newest.id)
        if self._options.most_processes:
            await self._bound_processes(newest.id)

    async def _take_over(self, which: Identity, newest: cri.Container, older: Sequence[cri.Container]) -> None:
        self._attempts.show(which, newest)
        for old in older:
            self._attempts.replace(which, old)
            await self._remove_attempt(old, keeping=newest.pod_sandbox_id)

    async def _give_size(self, which: Identity, container_id: str) -> None:
        size = self._starts.take_size(which.handle)
        if size is None:
            return
        request = cd.ResizePtyRequest(container_id=container_id, width=size[0], height=size[1])
        try:
            await self._containerd.resize(request, "resize the terminal")
        except ZunError as error:
            _log.info("container %s began without the size of its terminal: %s", which.uuid, error)

    async def _bound_processes(self, container_id: str) -> None:
        """The CRI has no word for it, so it is written where the kernel reads it."""
        try:
            bound_processes(container_id, await self._attempts.pid(container_id), self._options.most_processes)
        except (NotFound, FileNotFoundError, ProcessLookupError):
            return  # it has ended already
        except OSError as error:
            raise Unavailable(
                f"The number of the container's processes could not be bounded ({error.strerror}); run as root, or set most_processes to 0."
            ) from error

    async def _sandbox_of(self, attempt: cri.Container) -> cri.PodSandboxStatus | None:
        """Its sandbox, when that can still hold containers."""
        try:
            status = await self._sandboxes.status(attempt.pod_sandbox_id)
        except NotFound:
            return None
        return status if status.state == cri.SANDBOX_READY else None

    async def _discard_sandboxes(self, which: Identity) -> int:
        """Remove every sandbox of a container; returns a number that none of them had."""
        found = await self._sandboxes.list(which)
        for sandbox in found:
            await self._sandboxes.discard(sandbox.id)
        return 1 + max((sandbox.metadata.attempt for sandbox in found), default=-1)

    async def _remove_attempt(self, old: cri.Container, *, keeping: str) -> None:
        """Remove an attempt, and its sandbox when that is not kept."""
        await self._calls.remove(cri.RemoveContainerRequest(container_id=old.id), "remove the container")
        if old.pod_sandbox_id != keeping and not old.labels.get(labels.CAPSULE):
            await self._sandboxes.discard(old.pod_sandbox_id)


def _number(signal: str) -> int:
    if signal.isdecimal():
        return int(signal)
    try:
        return int(signals.Signals["SIG" + signal.upper().removeprefix("SIG")])
    except KeyError as error:
        raise Invalid(f"There is no signal {signal!r}; name one like SIGHUP.") from error
