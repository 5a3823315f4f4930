# SPDX-License-Identifier: Apache-2.0
"""The world of the fake: containers, images, networks and volumes that outlive the connection to them.

A test holds the engine and scripts it (`faults`, `vanish`, `end`, `run_out_of_memory`, `set_health`, `go_away` …); what
is under test holds a `FakeRuntime` on it. Opening another runtime on the same engine is an agent's restart.
"""

import asyncio
import ipaddress
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from zun.base.clock import Clock
from zun.drivers.runtime.fake import programs
from zun.drivers.runtime.fake.container import FakeContainer
from zun.drivers.runtime.fake.faults import Faults
from zun.drivers.runtime.fake.files import FileTree
from zun.drivers.runtime.fake.network import Endpoint, FakeNetwork
from zun.drivers.runtime.fake.process import Process, Steps, Surroundings
from zun.drivers.runtime.fake.sandbox import FakeSandbox
from zun.drivers.runtime.fake.session import Session
from zun.drivers.runtime.types import Capability, Channel, ExecRequest, ImageInfo, RuntimeEvent, RuntimeEventKind
from zun.model import image_reference
from zun.model.attachments import PublishedPort, in_use
from zun.model.errors import Conflict, Invalid, NotFound
from zun.model.records import SeenState

DEFAULT_NETWORK = "bridge"
_DEFAULT_HEALTH_SECONDS = 30.0
_DEFAULT_HEALTH_RETRIES = 3


@dataclass(slots=True)
class FakeExec:
    """A prepared command and, once started, its process."""

    container: FakeContainer
    request: ExecRequest
    size: list[int] = field(default_factory=lambda: [80, 24])
    started: bool = False
    process: Process | None = None


@dataclass(slots=True)
class RemoteImage:
    """An image of the made-up registry; with a password it is private."""

    info: ImageInfo
    username: str = ""
    password: str = ""


@dataclass(slots=True)
class EventQueue:
    """What one listener has not read yet."""

    owner: str
    waiting: deque[RuntimeEvent] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FakeEngine:
    """An engine in memory. `any_image`: every well-formed reference can be pulled (for trying things out)."""

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 0,
        any_image: bool = True,
        cpus: int = 8,
        memory_total_mib: int = 32 * 1024,
        disk_total_gib: int = 500,
        capabilities: frozenset[Capability] = frozenset(Capability),
    ) -> None:
        self.clock = clock
        self.faults = Faults(clock)
        self.any_image = any_image
        self.cpus, self.memory_total_mib, self.disk_total_gib = cpus, memory_total_mib, disk_total_gib
        self.capabilities = capabilities
        self.containers: dict[str, FakeContainer] = {}
        self.sandboxes: dict[str, FakeSandbox] = {}
        self.by_identity: dict[tuple[str, str, int], FakeContainer] = {}
        self.images: dict[str, ImageInfo] = {}
        self.remote_images: dict[str, RemoteImage] = {}
        self.image_files: dict[str, FileTree] = {}
        self.networks: dict[str, FakeNetwork] = {}
        self.volumes: dict[str, FileTree] = {}
        self.published: dict[tuple[str, int], str] = {}
        self.execs: dict[str, FakeExec] = {}
        self.listeners: list[EventQueue] = []
        self._rng = random.Random(seed)  # noqa: S311 - ids of a fake, repeatable on purpose
        self.add_network(DEFAULT_NETWORK, "10.0.0.0/8", fixed_addresses=False)

    # ------------------------------------------------------------------ scripting

    def add_image(self, reference: str, **fields: object) -> ImageInfo:
        """Put an image where `find` sees it; fields as in `ImageInfo`. Its command is `sh` unless said otherwise."""
        info = self.make_image(reference, **fields)
        self.keep_image(image_reference.parse(reference).canonical(), info)
        return info

    def add_remote_image(
        self, reference: str, *, username: str = "", password: str = "", **fields: object
    ) -> ImageInfo:
        """Put an image into the made-up registry, with a password into its private part."""
        info = self.make_image(reference, **fields)
        remote = RemoteImage(info, username, password)
        self.remote_images[image_reference.parse(reference).canonical()] = remote
        for digest in info.digests:
            self.remote_images[digest] = remote
        return info

    def add_network(self, name: str, subnet: str, *, fixed_addresses: bool = True) -> FakeNetwork:
        """Make a network, as an operator does."""
        network = FakeNetwork(self.new_id(), name, ipaddress.IPv4Network(subnet), fixed_addresses)
        self.networks[name] = network
        return network

    def end_sandbox(self, handle: str) -> None:
        """What holds a sandbox together ends: its containers run on, cut off from the network."""
        sandbox = self.sandboxes[handle]
        sandbox.ready = False
        self.unplug(sandbox.endpoints)
        self.unpublish(handle)
        event = RuntimeEvent(RuntimeEventKind.EXITED, handle, "", self.clock.now(), sandbox.request.uuid)
        self.tell(sandbox.owner, event)

    def vanish(self, handle: str) -> None:
        """Somebody removes a container behind everybody's back (no event is seen)."""
        container = self.container(handle)
        listeners, self.listeners = self.listeners, []
        self.drop(container)
        self.listeners = listeners

    def end(self, handle: str, exit_code: int = 0) -> None:
        """Its process ends by itself."""
        process = self.container(handle).process
        if process is not None:
            process.end(exit_code)

    def run_out_of_memory(self, handle: str) -> None:
        """The kernel kills it for using too much memory."""
        container = self.container(handle)
        container.oom_killed = True
        self.emit(RuntimeEventKind.OOM, container)
        self.end(handle, 137)

    def set_health(self, handle: str, health: str) -> None:
        """Say what its health check finds: starting, healthy or unhealthy."""
        container = self.container(handle)
        if container.health != health:
            container.health = health
            self.emit(RuntimeEventKind.HEALTH, container)

    def go_away(self) -> None:
        """The engine stops answering; event streams break. Containers run on."""
        self.faults.away = True
        for listener in self.listeners:
            listener.changed.set()

    def come_back(self) -> None:
        """It answers again."""
        self.faults.away = False

    # ------------------------------------------------------------------ inner life

    def new_id(self) -> str:
        """64 hexadecimal digits, different each time, the same in each run."""
        return f"{self._rng.getrandbits(256):064x}"

    def make_image(self, reference: str, **fields: object) -> ImageInfo:
        """An image's description, with an id and a digest of its own."""
        parsed = image_reference.parse(reference)
        digest = parsed.digest or f"sha256:{self.new_id()}"
        told: dict[str, object] = {
            "id": f"sha256:{self.new_id()}",
            "tags": (parsed.canonical(),) if parsed.tag else (),
            "digests": (f"{parsed.name}@{digest}",),
            "size": 1_000_000,
            "command": ["sh"],
        }
        return ImageInfo(**(told | fields))  # type: ignore[arg-type]

    def keep_image(self, name: str, info: ImageInfo) -> None:
        """Let an image be found by its name, its id and its digests."""
        for key in (name, info.id, *info.digests):
            self.images[key] = info

    def container(self, handle: str, owner: str | None = None) -> FakeContainer:
        """The container with that handle. Raises `NotFound`."""
        container = self.containers.get(handle)
        if container is None or owner not in {None, container.owner}:
            raise NotFound(f"The engine has no container {handle[:12]}; it may have been removed. List them again.")
        return container

    def volume(self, name: str) -> FileTree:
        """A named volume, made when it is absent."""
        return self.volumes.setdefault(name, FileTree())

    def emit(self, kind: RuntimeEventKind, container: FakeContainer) -> None:
        """Tell who listens."""
        request = container.request
        event = RuntimeEvent(kind, container.handle, request.uuid, self.clock.now(), request.capsule)
        self.tell(container.owner, event)

    def tell(self, owner: str, event: RuntimeEvent) -> None:
        """Tell an owner's listeners."""
        for listener in self.listeners:
            if listener.owner == owner:
                listener.waiting.append(event)
                listener.changed.set()

    def spawn(self, around: Surroundings) -> Steps:
        """The steps of a program. Raises `Invalid` when the image has none of that name."""
        program = programs.find(around.argv[0])
        if program is None:
            raise Invalid(
                f"The image has no executable {around.argv[0]!r}; check the command and the PATH of the image."
            )
        return program(around)

    def start(self, container: FakeContainer) -> None:
        """Begin its process."""
        around = container.surroundings(container.argv, container.write_out)
        around.stdin_open = container.request.interactive
        try:
            steps = self.spawn(around)
        except Invalid as error:
            container.error, container.exit_code = error.message, programs.NOT_FOUND_CODE
            raise
        self.plug(container.endpoints)
        try:
            self.publish(container.handle, container.request.published)
        except Conflict:
            self.unplug(container.endpoints)
            raise
        container.state, container.error, container.exit_code = SeenState.RUNNING, "", None
        container.oom_killed = False
        container.started_at = self.clock.now()
        container.process = Process(steps, around, lambda code: self._ended(container, code))
        self.emit(RuntimeEventKind.STARTED, container)
        for session in container.sessions:
            session.begin(container.process)
        if container.request.healthcheck is not None:
            container.health = "starting"
            container.health_task = asyncio.get_running_loop().create_task(self._watch_health(container))
        container.process.run()

    def drop(self, container: FakeContainer) -> None:
        """Forget it, killing it when it runs."""
        if container.process is not None:
            container.process.end(137)
        self.give_back(container.endpoints)
        self.containers.pop(container.handle, None)
        self.by_identity.pop((container.owner, container.request.uuid, container.request.generation), None)
        self.emit(RuntimeEventKind.REMOVED, container)

    def give_back(self, endpoints: Iterable[Endpoint]) -> None:
        """Fixed addresses are free again."""
        for endpoint in endpoints:
            if endpoint.fixed_v4 is not None and endpoint.network in self.networks:
                self.networks[endpoint.network].give_back(endpoint.fixed_v4)

    def run_exec(self, prepared: FakeExec, session: Session) -> None:
        """Run a prepared command in its container."""
        container, request = prepared.container, prepared.request

        def write(channel: Channel, data: bytes) -> None:
            if request.tty:
                channel, data = Channel.STDOUT, data.replace(b"\n", b"\r\n")
            session.push(channel, data)

        around = container.surroundings(request.argv, write)
        around.environment = container.request.environment | request.environment
        around.workdir = request.workdir or around.workdir
        around.stdin_open, around.size = request.stdin, prepared.size
        try:
            steps = self.spawn(around)
        except Invalid as error:
            session.push(Channel.STDOUT, f"{error.message}\r\n".encode())
            session.finish(programs.CANNOT_RUN_CODE)
            return
        session.process = prepared.process = Process(steps, around, session.finish)
        session.process.run()

    def plug(self, endpoints: Iterable[Endpoint]) -> None:
        """Give addresses. Raises `NotFound` when a network went away."""
        for endpoint in endpoints:
            network = self.networks.get(endpoint.network)
            if network is None:
                raise NotFound(f"There is no network {endpoint.network}; choose one of {', '.join(self.networks)}.")
            if not endpoint.v4:
                endpoint.v4 = network.take(None) if endpoint.fixed_v4 is None else endpoint.fixed_v4
            endpoint.v6 = endpoint.fixed_v6 or ""

    def unplug(self, endpoints: Iterable[Endpoint]) -> None:
        """Addresses that are not fixed are free again."""
        for endpoint in endpoints:
            if endpoint.v4 and endpoint.fixed_v4 is None and endpoint.network in self.networks:
                self.networks[endpoint.network].give_back(endpoint.v4)
            endpoint.v4 = endpoint.v6 = ""

    def publish(self, handle: str, ports: Iterable[PublishedPort]) -> None:
        """Ports of the made-up machine lead to a container or sandbox. Raises `Conflict` when one is somebody else's."""
        for port in ports:
            if self.published.get((port.protocol, port.host_port), handle) != handle:
                raise in_use(port)
        self.published |= {(port.protocol, port.host_port): handle for port in ports}

    def unpublish(self, handle: str) -> None:
        """They do no longer."""
        self.published = {port: owner for port, owner in self.published.items() if owner != handle}

    def _ended(self, container: FakeContainer, code: int) -> None:
        container.state, container.exit_code = SeenState.EXITED, code
        container.finished_at = self.clock.now()
        container.process = None
        if container.health_task is not None:
            container.health_task.cancel()
            container.health_task = None
        container.flush_log()
        container.tell_end()
        container.wake_followers()
        for session in container.sessions:
            session.finish(code)
        container.sessions.clear()
        for tunnel in container.tunnels or ():
            tunnel.finish(code)
        self.unplug(container.endpoints)
        self.unpublish(container.handle)
        self.emit(RuntimeEventKind.EXITED, container)

    async def _watch_health(self, container: FakeContainer) -> None:
        check = container.request.healthcheck
        failures = 0
        while check is not None and container.lives:
            await self.clock.sleep(check.interval or _DEFAULT_HEALTH_SECONDS)
            session = Session(owns_input=True)
            self.run_exec(FakeExec(container, ExecRequest(["sh", "-c", check.test])), session)
            while await session.read() is not None:
                continue
            failures = 0 if await session.exit_code() == 0 else failures + 1
            if failures == 0:
                self.set_health(container.handle, "healthy")
            elif failures >= (check.retries or _DEFAULT_HEALTH_RETRIES):
                self.set_health(container.handle, "unhealthy")
