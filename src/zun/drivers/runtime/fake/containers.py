# SPDX-License-Identifier: Apache-2.0
"""Life of made-up containers: the `Containers` and `Networks` parts of the port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zun.drivers.runtime.fake.container import FakeContainer
from zun.drivers.runtime.fake.engine import DEFAULT_NETWORK, EventQueue, FakeEngine
from zun.drivers.runtime.fake.network import Endpoint
from zun.drivers.runtime.types import (
    Capability,
    ContainerRequest,
    Fingerprint,
    ImageInfo,
    NetworkRequest,
    RuntimeEvent,
    RuntimeEventKind,
    Seen,
)
from zun.model import image_reference
from zun.model.errors import Conflict, Invalid, NotFound, Unavailable, Unsupported
from zun.model.records import SeenState

_SMALLEST_MEMORY_MIB = 6
_ID_PREFIX = "sha256:"


class FakeContainers:
    """Implements `Containers` on a fake engine."""

    def __init__(self, engine: FakeEngine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    async def fingerprint(self) -> Fingerprint:
        """What the made-up machine has."""
        await self._engine.faults.before("fingerprint")
        engine = self._engine
        return Fingerprint(
            engine="fake",
            engine_version="1",
            cpus=engine.cpus,
            memory_total_mib=engine.memory_total_mib,
            disk_total_gib=engine.disk_total_gib,
            architecture="x86_64",
            os_type="linux",
            os="Fake",
            kernel_version="0",
            hostname="fake",
            labels={},
            runtimes=["fake"],
            default_runtime="fake",
            capabilities=engine.capabilities,
            networks=tuple(network.info() for network in engine.networks.values()),
        )

    async def inspect(self, handle: str) -> Seen:
        """One container."""
        await self._engine.faults.before("inspect")
        return self._find(handle).seen()

    async def list(self) -> list[Seen]:
        """This owner's."""
        await self._engine.faults.before("list")
        return [found.seen() for found in self._engine.containers.values() if found.owner == self._owner]

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[RuntimeEvent]]:
        """From now on."""
        await self._engine.faults.before("events")
        queue = EventQueue(self._owner)
        self._engine.listeners.append(queue)
        try:
            yield self._read(queue)
        finally:
            self._engine.listeners.remove(queue)

    async def create(self, request: ContainerRequest) -> str:
        """Make it; the same uuid and generation give the same handle."""
        engine = self._engine
        await engine.faults.before("create")
        identity = (self._owner, request.uuid, request.generation)
        known = engine.by_identity.get(identity)
        if known is not None:
            return known.handle
        self._check_sandbox(request)
        if request.healthcheck is not None and Capability.HEALTH not in engine.capabilities:
            raise Unsupported("This engine runs no health checks; whoever asks it has to run them.")
        image = self._image(request.image)
        container = FakeContainer(
            handle=engine.new_id(),
            owner=self._owner,
            request=request,
            image=image,
            argv=_argv(request, image),
            created_at=engine.clock.now(),
            clock=engine.clock,
            cpu=request.cpu,
            memory_mib=_checked_memory(request.memory_mib),
            cpuset=request.cpuset,
            image_files=engine.image_files.get(image.id),
            volume=engine.volume,
        )
        container.endpoints.extend(self._endpoints(request))
        engine.containers[container.handle] = container
        engine.by_identity[identity] = container
        engine.faults.after("create")
        return container.handle

    async def start(self, handle: str) -> None:
        """Start it."""
        await self._engine.faults.before("start")
        container = self._find(handle)
        if container.state is SeenState.PAUSED:
            raise Conflict("The container is paused; unpause it instead of starting it.")
        if container.state is not SeenState.RUNNING:
            self._check_sandbox(container.request)
            self._engine.start(container)
        self._engine.faults.after("start")

    async def stop(self, handle: str, timeout_seconds: int) -> None:
        """SIGTERM; SIGKILL when the time is over."""
        await self._engine.faults.before("stop")
        container = self._find(handle)
        process = container.process
        if process is not None:
            container.state = SeenState.RUNNING
            process.signal("SIGTERM")
            if process.exit_code is None:
                await self._wait_for_end(container, timeout_seconds)
            process.signal("SIGKILL")
        self._engine.faults.after("stop")

    async def kill(self, handle: str, signal: str) -> None:
        """Send a signal."""
        await self._engine.faults.before("kill")
        container = self._find(handle)
        if container.process is None:
            raise Conflict("The container does not run, so no signal can reach it; start it first.")
        container.process.signal(signal)
        self._engine.faults.after("kill")

    async def pause(self, handle: str) -> None:
        """Freeze it."""
        await self._engine.faults.before("pause")
        container = self._find(handle)
        if container.state is not SeenState.RUNNING:
            raise Conflict(f"The container cannot be paused: it is {container.state}.")
        container.state = SeenState.PAUSED
        self._engine.emit(RuntimeEventKind.PAUSED, container)
        self._engine.faults.after("pause")

    async def unpause(self, handle: str) -> None:
        """Thaw it."""
        await self._engine.faults.before("unpause")
        container = self._find(handle)
        if container.state is not SeenState.PAUSED:
            raise Conflict(f"The container cannot be unpaused: it is {container.state}.")
        container.state = SeenState.RUNNING
        self._engine.emit(RuntimeEventKind.UNPAUSED, container)
        self._engine.faults.after("unpause")

    async def update(self, handle: str, *, cpu: float | None, memory_mib: int | None, cpuset: str | None) -> None:
        """Change limits."""
        await self._engine.faults.before("update")
        container = self._find(handle)
        container.memory_mib = _checked_memory(memory_mib) or container.memory_mib
        container.cpu = container.cpu if cpu is None else cpu
        container.cpuset = container.cpuset if cpuset is None else cpuset
        self._engine.faults.after("update")

    async def remove(self, handle: str) -> None:
        """Remove it; absent is fine."""
        await self._engine.faults.before("remove")
        container = self._engine.containers.get(handle)
        if container is not None and container.owner == self._owner:
            self._engine.drop(container)
        self._engine.faults.after("remove")

    def _find(self, handle: str) -> FakeContainer:
        return self._engine.container(handle, self._owner)

    async def _read(self, queue: EventQueue) -> AsyncIterator[RuntimeEvent]:
        while True:
            if self._engine.faults.away:
                raise Unavailable("The event stream of the fake engine broke; list the containers and listen again.")
            while queue.waiting:
                yield queue.waiting.popleft()
            queue.changed.clear()
            if not self._engine.faults.away:
                await queue.changed.wait()

    async def _wait_for_end(self, container: FakeContainer, seconds: float) -> None:
        ended = container.when_ended()
        waiting = asyncio.ensure_future(ended.wait())
        timer = asyncio.ensure_future(self._engine.clock.sleep(seconds))
        try:
            await asyncio.wait({waiting, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            timer.cancel()

    def _image(self, reference: str) -> ImageInfo:
        engine = self._engine
        key = reference if reference.startswith(_ID_PREFIX) else image_reference.parse(reference).canonical()
        image = engine.images.get(key) or engine.images.get(key.partition("@")[2])
        if image is None:
            raise NotFound(f"The engine does not have the image {reference}; pull it first.")
        return image

    def _check_sandbox(self, request: ContainerRequest) -> None:
        if not request.sandbox:
            return
        sandbox = self._engine.sandboxes.get(request.sandbox)
        if sandbox is None or sandbox.owner != self._owner:
            raise NotFound("There is no such sandbox; make it first.")
        if not sandbox.ready:
            raise Conflict("The sandbox has ended; remove it and make another.")

    def _endpoints(self, request: ContainerRequest) -> tuple[Endpoint, ...]:
        if request.sandbox:
            return ()
        wished = request.networks or (NetworkRequest(DEFAULT_NETWORK),)
        return tuple(make_endpoint(self._engine, one) for one in wished)


class FakeNetworks:
    """Implements `Networks` on a fake engine."""

    def __init__(self, engine: FakeEngine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    async def attach(self, handle: str, request: NetworkRequest) -> None:
        """Plug it in."""
        await self._engine.faults.before("network_attach")
        container = self._engine.container(handle, self._owner)
        endpoint = make_endpoint(self._engine, request, [known.network for known in container.endpoints])
        if container.lives and not endpoint.v4:
            endpoint.v4 = self._engine.networks[endpoint.network].take(None)
        container.endpoints.append(endpoint)
        self._engine.faults.after("network_attach")

    async def detach(self, handle: str, network: str) -> None:
        """Unplug it."""
        await self._engine.faults.before("network_detach")
        container = self._engine.container(handle, self._owner)
        for endpoint in container.endpoints:
            known = self._engine.networks[endpoint.network]
            if network in {known.name, known.id}:
                container.endpoints.remove(endpoint)
                known.give_back(endpoint.v4 or endpoint.fixed_v4 or "")
                self._engine.faults.after("network_detach")
                return
        raise NotFound(f"The container is not on network {network}; look at its addresses.")


def make_endpoint(engine: FakeEngine, request: NetworkRequest, present: list[str] | None = None) -> Endpoint:
    """A place on a network. Raises `NotFound`, `Invalid`, `Conflict`."""
    network = engine.networks.get(request.network)
    if network is None:
        network = next((known for known in engine.networks.values() if known.id == request.network), None)
    if network is None:
        raise NotFound(f"There is no network {request.network}; choose one of {', '.join(engine.networks)}.")
    if present and network.name in present:
        raise Conflict(f"The container is on network {network.name} already.")
    if request.v4 is not None:
        network.take(request.v4)
    return Endpoint(engine.new_id(), network.name, request.v4, request.v6, v4=request.v4 or "")


def _argv(request: ContainerRequest, image: ImageInfo) -> list[str]:
    """An entrypoint of the request puts the image's command out of use, too, as engines have it."""
    command = request.command or (None if request.entrypoint else image.command)
    argv = [*(request.entrypoint or image.entrypoint or ()), *(command or ())]
    if not argv:
        raise Invalid("Neither the request nor the image names a command; give one.")
    return argv


def _checked_memory(memory_mib: int | None) -> int | None:
    if memory_mib is not None and memory_mib < _SMALLEST_MEMORY_MIB:
        raise Invalid(f"A container needs at least {_SMALLEST_MEMORY_MIB} MiB of memory; {memory_mib} were asked for.")
    return memory_mib
