# SPDX-License-Identifier: Apache-2.0
"""A container of the fake: its state, its process, what it wrote and who listens."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from zun.base.clock import Clock
from zun.drivers.runtime.fake.files import FileTree
from zun.drivers.runtime.fake.network import Endpoint, addresses_of
from zun.drivers.runtime.fake.process import Process, Surroundings
from zun.drivers.runtime.fake.session import Session
from zun.drivers.runtime.types import Channel, ContainerRequest, ImageInfo, Seen
from zun.model.records import SeenState

MAX_LOG_LINES = 10_000
"""Older lines of a container's log are forgotten."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line with its line break (the last one may lack it)."""

    number: int
    at: float
    channel: Channel
    data: bytes


@dataclass(slots=True, eq=False)
class FakeContainer:
    """One container. Only the engine changes its state."""

    handle: str
    owner: str
    request: ContainerRequest
    image: ImageInfo
    argv: list[str]
    created_at: float
    clock: Clock
    state: SeenState = SeenState.CREATED
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    health: str | None = None
    endpoints: list[Endpoint] = field(default_factory=list)
    process: Process | None = None
    health_task: "asyncio.Task[None] | None" = None
    cpu: float | None = None
    memory_mib: int | None = None
    cpuset: str | None = None
    size: list[int] = field(default_factory=lambda: [80, 24])
    log: "deque[LogLine] | None" = None
    log_count: int = 0
    sessions: list[Session] = field(default_factory=list)
    tunnels: list[Session] | None = None
    image_files: FileTree | None = None
    volume: Callable[[str], FileTree] | None = None
    _files: FileTree | None = None
    _partial: dict[Channel, bytes] | None = None
    _waiters: list[asyncio.Event] | None = None
    _end: asyncio.Event | None = None

    @property
    def lives(self) -> bool:
        """Running or paused."""
        return self.state in {SeenState.RUNNING, SeenState.PAUSED}

    @property
    def files(self) -> FileTree:
        """Its file system, made when somebody looks at it."""
        if self._files is None:
            tree = self.image_files.copy() if self.image_files else FileTree()
            for mount in self.request.volumes:
                if self.volume is not None:
                    tree.mounts[mount.destination.rstrip("/")] = self.volume(mount.name)
                if mount.read_only:
                    tree.read_only.add(mount.destination.rstrip("/"))
            for file in self.request.files:
                tree.write(file.destination, b"")
                tree.host_files[file.destination] = file.host_path
            self._files = tree
        return self._files

    def seen(self) -> Seen:
        """What the engine shows of it."""
        return Seen(
            handle=self.handle,
            uuid=self.request.uuid,
            generation=self.request.generation,
            state=self.state,
            exit_code=self.exit_code if self.state is SeenState.EXITED else None,
            oom_killed=self.oom_killed,
            error=self.error,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at if self.state is SeenState.EXITED else None,
            health=self.health,
            addresses=addresses_of(self.endpoints) if self.lives else (),
            ports=self._ports() if self.request.exposed_ports or self.image.exposed_ports else (),
            image_id=self.image.id,
            capsule=self.request.capsule,
        )

    def surroundings(self, argv: list[str], write: Callable[[Channel, bytes], None]) -> Surroundings:
        """What a program inside it sees."""
        return Surroundings(
            argv=argv,
            write=write,
            clock=self.clock,
            files=self.files if len(argv) > 1 and argv[0] != "sleep" else FileTree(),
            environment=self.request.environment,
            workdir=self.request.workdir or self.image.workdir or "/",
            hostname=self.request.hostname or self.handle[:12],
            size=self.size,
        )

    def write_out(self, channel: Channel, data: bytes) -> None:
        """Output of its own process: to the log and to whoever is attached."""
        channel = Channel.STDOUT if self.request.tty else channel
        if self.request.tty:
            data = data.replace(b"\n", b"\r\n")
        for session in self.sessions:
            session.push(channel, data)
        if self._partial is None:
            self._partial = {}
        *lines, rest = (self._partial.pop(channel, b"") + data).split(b"\n")
        for line in lines:
            self._keep(channel, line + b"\n")
        if rest:
            self._partial[channel] = rest
        self.wake_followers()

    def listens(self, port: int) -> list[str] | None:
        """What its process runs for each connection to a port; None when it does not listen there."""
        return None if self.process is None else self.process.around.listening.get(port)

    def flush_log(self) -> None:
        """Lines without an end become lines of the log, too."""
        for channel, rest in (self._partial or {}).items():
            self._keep(channel, rest)
        self._partial = None

    def wait_for_output(self) -> asyncio.Event:
        """An event that is set when there is more to read, or when it ended."""
        event = asyncio.Event()
        self._waiters = [*(self._waiters or []), event]
        return event

    def when_ended(self) -> asyncio.Event:
        """An event that is set when its process ends."""
        if self._end is None:
            self._end = asyncio.Event()
        return self._end

    def tell_end(self) -> None:
        """Whoever waits for its end goes on."""
        if self._end is not None:
            self._end.set()
            self._end = None

    def wake_followers(self) -> None:
        """Whoever follows the log looks again."""
        for event in self._waiters or ():
            event.set()
        self._waiters = None

    def _keep(self, channel: Channel, line: bytes) -> None:
        if self.log is None:
            self.log = deque(maxlen=MAX_LOG_LINES)
        self.log_count += 1
        self.log.append(LogLine(self.log_count, self.clock.now(), channel, line))

    def _ports(self) -> tuple[int, ...]:
        told = [*self.image.exposed_ports, *self.request.exposed_ports]
        return tuple(sorted({int(port.partition("/")[0]) for port in told}))
