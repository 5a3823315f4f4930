# SPDX-License-Identifier: Apache-2.0
"""A node's live things without a node: for tests of what stands on the `NodeLive` port. Scriptable, and bounded like the real thing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from zun.drivers.runtime.base import PORT_REFUSED
from zun.drivers.runtime.fake.tunnel import FakeTunnel
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery, PathStat, Stats, Top
from zun.model.errors import Conflict, Invalid, NotFound, Unavailable, ZunError
from zun.services.nodelive import NodeDescription

_QUEUE_PIECES = 4
_OF_THE_NODE = frozenset({"search_images", "describe"})


class FakeSession:
    """A conversation. The test's side: `emit`, `received`, `written`; the other methods are the port's."""

    def __init__(self) -> None:
        self._out: asyncio.Queue[Chunk | int] = asyncio.Queue(_QUEUE_PIECES)
        self._in: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_PIECES)
        self._code: int | None = None
        self._input_open = True
        self.ended = False
        self.written = bytearray()
        self.sizes: list[tuple[int, int]] = []

    async def emit(self, data: bytes, channel: Channel = Channel.STDOUT) -> None:
        """Print something; waits while nobody reads."""
        await self._out.put(Chunk(channel, data))

    async def received(self) -> bytes | None:
        """What was typed next; None at the end of input."""
        return await self._in.get()

    async def end(self, code: int) -> None:
        """The process ends."""
        await self._out.put(code)

    async def read(self) -> Chunk | None:
        """See the port."""
        if self.ended:
            return None
        piece = await self._out.get()
        if isinstance(piece, int):
            self._code, self.ended = piece, True
            return None
        return piece

    async def write(self, data: bytes) -> None:
        """See the port."""
        if self.ended or not self._input_open:
            raise Conflict("The process has ended, or its end of input was sent already.")
        await self._in.put(data)
        self.written += data

    async def close_stdin(self) -> None:
        """See the port."""
        if self._input_open:
            self._input_open = False
            await self._in.put(None)

    async def exit_code(self) -> int | None:
        """See the port."""
        return self._code


Program = Callable[[FakeSession, ExecRequest | None], Awaitable[int]]
"""What a process does; the result is its exit code."""


async def echo(session: FakeSession, _: ExecRequest | None) -> int:
    """Says back what it is told, until the end of input."""
    while (data := await session.received()) is not None:
        await session.emit(data)
    return 0


class FakeNode:
    """`NodeLive`, scripted: change the attributes at any time. `open_sessions` and `open_streams` count what was not left yet.

    Containers in `stopped` do not run; when `known` is a set there are no others. `failing` says with what the next call of a verb fails.
    """

    def __init__(self) -> None:
        self.logs_of: dict[str, list[Chunk]] = {}
        self.follow: dict[str, asyncio.Queue[Chunk | None]] = {}
        self.programs: dict[str, Program] = {}
        self.main: Program = echo
        self.listening: dict[int, Program] = {7: echo}
        self.execs: dict[str, tuple[str, ExecRequest]] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.asked: list[tuple[object, ...]] = []
        self.hanging = False
        self.failing: dict[str, ZunError] = {}
        self.stopped: set[str] = set()
        self.known: set[str] | None = None
        self._started: set[str] = set()
        self.open_sessions = 0
        self.open_streams = 0
        self.last_session: FakeSession | None = None
        self.session_type: type[FakeSession] = FakeSession
        self.found_images: list[dict[str, object]] = []
        self.description = NodeDescription(
            node="n1", at=1.0, version="0", boot_id="boot-1", started_at=0.5, engine="fake", engine_version="1"
        )

    @asynccontextmanager
    async def logs(self, uuid: str, query: LogQuery) -> AsyncIterator[AsyncIterator[Chunk]]:
        """The kept log, then what the queue of `follow` brings."""
        await self._answer("logs", uuid, query)
        self.open_streams += 1
        try:
            yield self._log(uuid, query)
        finally:
            self.open_streams -= 1

    async def _log(self, uuid: str, query: LogQuery) -> AsyncIterator[Chunk]:
        for chunk in self.logs_of.get(uuid, []):
            if query.stdout if chunk.channel is Channel.STDOUT else query.stderr:
                yield chunk
        queue = self.follow.get(uuid)
        while query.follow and queue is not None and (live := await queue.get()) is not None:
            yield live

    async def exec_create(self, uuid: str, request: ExecRequest) -> str:
        """Prepare a command of `programs`."""
        await self._answer("exec_create", uuid, request)
        self._check_runs(uuid)
        if not request.argv:
            raise Invalid("No command was given; name one.")
        exec_id = hashlib.sha256(f"{uuid}/{len(self.execs)}".encode()).hexdigest()
        self.execs[exec_id] = (uuid, request)
        return exec_id

    @asynccontextmanager
    async def exec_start(self, uuid: str, exec_id: str) -> AsyncIterator[FakeSession]:
        """Run it, once."""
        await self._answer("exec_start", uuid, exec_id)
        request = self._exec(uuid, exec_id)
        if exec_id in self._started:
            raise Conflict("This command was started already; prepare another.")
        self._started.add(exec_id)
        async with self._session(self.programs[request.argv[0]], request) as session:
            yield session

    async def exec_resize(self, uuid: str, exec_id: str, *, width: int, height: int) -> None:
        """Remembered in `asked`."""
        await self._answer("exec_resize", uuid, exec_id, width, height)
        self._exec(uuid, exec_id)
        if self.last_session is not None:
            self.last_session.sizes.append((width, height))

    @asynccontextmanager
    async def attach(self, uuid: str) -> AsyncIterator[FakeSession]:
        """Talk to `main`."""
        await self._answer("attach", uuid)
        self._check_runs(uuid)
        async with self._session(self.main, None) as session:
            yield session

    @asynccontextmanager
    async def port_forward(self, uuid: str, port: int) -> AsyncIterator[FakeTunnel]:
        """Talk to a program of `listening`."""
        await self._answer("port_forward", uuid, port)
        self._check_runs(uuid)
        program = self.listening.get(port)
        if program is None:
            raise Conflict(f"Nothing takes connections to port {port} of container {uuid}.", code=PORT_REFUSED)
        async with self._session(program, None) as session:
            yield FakeTunnel(session)

    async def resize(self, uuid: str, *, width: int, height: int) -> None:
        """Remembered in `asked`."""
        await self._answer("resize", uuid, width, height)
        self._check_runs(uuid)
        if self.last_session is not None:
            self.last_session.sizes.append((width, height))

    async def top(self, uuid: str, ps_args: str | None) -> Top:
        """One process."""
        await self._answer("top", uuid, ps_args)
        self._check_runs(uuid)
        return Top(titles=["PID", "CMD"], processes=[["1", "sh"]])

    async def stats(self, uuid: str) -> Stats:
        """Plain figures."""
        await self._answer("stats", uuid)
        self._check_runs(uuid)
        return Stats(12.5, 8 * 2**20, 64 * 2**20, 10, 20, 30, 40)

    @asynccontextmanager
    async def get_archive(self, uuid: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """The bytes kept in `files`, in small pieces."""
        await self._answer("get_archive", uuid, path)
        data = self.files.get((uuid, path))
        if data is None:
            raise NotFound(f"There is no {path} in container {uuid}.")
        self.open_streams += 1
        try:
            yield PathStat(path.rsplit("/", 1)[-1], len(data), 0o100644, "2026-01-01T00:00:00Z"), _in_pieces(data)
        finally:
            self.open_streams -= 1

    async def put_archive(self, uuid: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Keep the bytes in `files`; the directory must be `/`, or begin with `/d`."""
        await self._answer("put_archive", uuid, path)
        if path != "/" and not path.startswith("/d"):
            raise NotFound(f"There is no directory {path} in container {uuid}.")
        self.open_streams += 1
        try:
            self.files[uuid, path] = b"".join([piece async for piece in data])
        finally:
            self.open_streams -= 1

    async def search_images(self, term: str, *, exact: bool) -> list[dict[str, object]]:
        """`found_images`."""
        await self._answer("search_images", term, exact)
        return self.found_images

    async def describe(self) -> NodeDescription:
        """`description`."""
        await self._answer("describe")
        return self.description

    async def _answer(self, *call: object) -> None:
        self.asked.append(call)
        if self.hanging:
            await asyncio.get_running_loop().create_future()
        failure = self.failing.pop(str(call[0]), None)
        if failure is not None:
            raise failure
        if self.known is not None and call[0] not in _OF_THE_NODE and call[1] not in self.known:
            raise NotFound(f"There is no container {call[1]} on this node.")

    def _check_runs(self, uuid: str) -> None:
        if uuid in self.stopped:
            raise Conflict(f"Container {uuid} does not run; start it first.")

    def _exec(self, uuid: str, exec_id: str) -> ExecRequest:
        owner, request = self.execs.get(exec_id, ("", ExecRequest(argv=[""])))
        if owner != uuid:
            raise NotFound(f"There is no exec {exec_id}.")
        return request

    @asynccontextmanager
    async def _session(self, program: Program, request: ExecRequest | None) -> AsyncIterator[FakeSession]:
        session = self.last_session = self.session_type()

        async def run() -> None:
            await session.end(await program(session, request))

        self.open_sessions += 1
        task = asyncio.create_task(run())
        try:
            yield session
        finally:
            self.open_sessions -= 1
            task.cancel()
            await asyncio.wait([task])


class FakeDirectory:
    """Finds nodes in `nodes`; the others are away."""

    def __init__(self, nodes: dict[str, FakeNode] | None = None) -> None:
        self.nodes: dict[str, FakeNode] = dict(nodes or {})

    def live(self, node: str) -> FakeNode:
        """The node. Raises `Unavailable`."""
        try:
            return self.nodes[node]
        except KeyError as error:
            raise Unavailable(f"Node {node} cannot be reached at the moment.") from error


async def _in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 16 * 1024):
        yield data[start : start + 16 * 1024]
