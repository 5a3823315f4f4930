# SPDX-License-Identifier: Apache-2.0
"""Logs, exec, attach, archives and figures of made-up containers: the `Streams` part of the port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from zun.drivers.runtime.base import PORT_REFUSED, ByteSession, Tunnel
from zun.drivers.runtime.fake.container import FakeContainer, LogLine
from zun.drivers.runtime.fake.engine import FakeEngine, FakeExec
from zun.drivers.runtime.fake.session import Session
from zun.drivers.runtime.fake.tunnel import FakeTunnel
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery, PathStat, Stats, Top
from zun.model.errors import Conflict, Invalid, NotFound
from zun.model.records import SeenState

_MIB = 1 << 20
_PIECE = 64 * 1024


class FakeStreams:
    """Implements `Streams` on a fake engine."""

    def __init__(self, engine: FakeEngine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    @asynccontextmanager
    async def logs(self, handle: str, query: LogQuery) -> AsyncIterator[AsyncIterator[Chunk]]:
        """What it wrote."""
        await self._engine.faults.before("logs")
        if not (query.stdout or query.stderr):
            raise Invalid("Neither output was asked for; ask for stdout, stderr or both.")
        yield self._read_log(self._find(handle), query)

    async def exec_create(self, handle: str, request: ExecRequest) -> str:
        """Prepare a command."""
        await self._engine.faults.before("exec_create")
        container = self._running(handle)
        if not request.argv:
            raise Invalid("No command was given; name one.")
        exec_id = self._engine.new_id()
        self._engine.execs[exec_id] = FakeExec(container, request)
        return exec_id

    @asynccontextmanager
    async def exec_start(self, exec_id: str) -> AsyncIterator[ByteSession]:
        """Run it, once."""
        await self._engine.faults.before("exec_start")
        prepared = self._exec(exec_id)
        if prepared.started:
            raise Conflict("This command was started already; prepare another.")
        if prepared.container.state is not SeenState.RUNNING:
            raise Conflict("The container does not run any more; start it first.")
        prepared.started = True
        session = Session(owns_input=True)
        self._engine.run_exec(prepared, session)
        yield session

    async def exec_resize(self, exec_id: str, *, width: int, height: int) -> None:
        """The size of its terminal."""
        await self._engine.faults.before("exec_resize")
        self._exec(exec_id).size[:] = [width, height]

    async def exec_kill(self, exec_id: str) -> None:
        """Its process ends."""
        await self._engine.faults.before("exec_kill")
        prepared = self._engine.execs.get(exec_id)
        if prepared is not None and prepared.process is not None:
            prepared.process.signal("SIGKILL")

    @asynccontextmanager
    async def attach(self, handle: str) -> AsyncIterator[ByteSession]:
        """Talk to its own process."""
        await self._engine.faults.before("attach")
        container = self._find(handle)
        if container.state is SeenState.EXITED:
            raise Conflict("The container has ended; start it before attaching.")
        session = Session(owns_input=container.request.stdin_once)
        if container.process is not None:
            session.begin(container.process)
        container.sessions.append(session)
        try:
            yield session
        finally:
            if session in container.sessions:
                container.sessions.remove(session)

    async def resize(self, handle: str, *, width: int, height: int) -> None:
        """The size of its terminal."""
        await self._engine.faults.before("resize")
        self._running(handle).size[:] = [width, height]

    @asynccontextmanager
    async def port_forward(self, handle: str, port: int) -> AsyncIterator[Tunnel]:
        """Talk to what runs for a connection, where its program (or one that shares its sandbox) listens."""
        await self._engine.faults.before("port_forward")
        container, argv = self._listener(self._running(handle), port)
        session = Session(owns_input=True)
        self._engine.run_exec(FakeExec(container, ExecRequest(argv, stdin=True)), session)
        container.tunnels = [*(container.tunnels or ()), session]
        try:
            yield FakeTunnel(session)
        finally:
            container.tunnels = [one for one in container.tunnels if one is not session] or None
            if session.process is not None:
                session.process.end(0)

    async def top(self, handle: str, ps_args: str | None) -> Top:  # noqa: ARG002 - one format is all it has
        """Its one process."""
        await self._engine.faults.before("top")
        container = self._running(handle)
        titles = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
        started = datetime.fromtimestamp(container.started_at or 0, UTC).strftime("%H:%M")
        return Top(titles, [["root", "4242", "1", "0", started, "?", "00:00:00", " ".join(container.argv)]])

    async def stats(self, handle: str) -> Stats:
        """Made-up figures."""
        await self._engine.faults.before("stats")
        container = self._running(handle)
        limit = container.memory_mib or self._engine.memory_total_mib
        return Stats(0.0, _MIB, limit * _MIB, 0, 0, 0, 0)

    @asynccontextmanager
    async def get_archive(self, handle: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of its files."""
        await self._engine.faults.before("get_archive")
        stat, data = self._find(handle).files.pack(path)
        yield stat, _pieces(data)

    async def put_archive(self, handle: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Unpack a tar into its files."""
        await self._engine.faults.before("put_archive")
        files = self._find(handle).files
        files.unpack(path, b"".join([piece async for piece in data]))
        self._engine.faults.after("put_archive")

    def _find(self, handle: str) -> FakeContainer:
        return self._engine.container(handle, self._owner)

    def _running(self, handle: str) -> FakeContainer:
        container = self._find(handle)
        if container.state is not SeenState.RUNNING:
            raise Conflict(f"The container is {container.state}; this needs a running one.")
        return container

    def _listener(self, container: FakeContainer, port: int) -> tuple[FakeContainer, list[str]]:
        sandbox = container.request.sandbox
        there = [one for one in self._engine.containers.values() if sandbox and one.request.sandbox == sandbox]
        for one in [container, *there]:
            argv = one.listens(port)
            if argv is not None:
                return one, argv
        raise Conflict(f"Nothing takes connections to port {port} on the container's loopback.", code=PORT_REFUSED)

    def _exec(self, exec_id: str) -> FakeExec:
        prepared = self._engine.execs.get(exec_id)
        if prepared is None or prepared.container.owner != self._owner:
            raise NotFound("There is no such exec session; it may have ended with its container.")
        return prepared

    async def _read_log(self, container: FakeContainer, query: LogQuery) -> AsyncIterator[Chunk]:
        last = 0
        tail = query.tail
        while True:
            more = container.wait_for_output()
            self._engine.faults.check_away()
            lines = [line for line in container.log or () if line.number > last and _wanted(line, query)]
            last = container.log_count
            if tail is not None:
                lines, tail = (lines[-tail:] if tail > 0 else []), None
            for line in lines:
                yield Chunk(line.channel, _stamp(line) + line.data if query.timestamps else line.data)
            if container.log_count > last:
                continue
            if not query.follow or not container.lives:
                return
            await more.wait()


def _wanted(line: LogLine, query: LogQuery) -> bool:
    channel_wanted = query.stdout if line.channel is Channel.STDOUT else query.stderr
    return channel_wanted and (query.since is None or line.at >= query.since)


def _stamp(line: LogLine) -> bytes:
    return (datetime.fromtimestamp(line.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z ").encode()


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
