# SPDX-License-Identifier: Apache-2.0
"""The node's live things, straight from its engine: logs, exec, attach, ports, archives, top, stats (port: `zun.services.nodelive`)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from zun.agent.sessions import ExecSessions
from zun.drivers.runtime.base import ByteSession, Runtime, Tunnel
from zun.drivers.runtime.types import Chunk, ExecRequest, LogQuery, PathStat, Stats, Top
from zun.model.errors import Invalid, Timeout, Unavailable
from zun.services.nodelive import NodeDescription
from zun.services.reading_ahead import reading_ahead

T = TypeVar("T")

MOST_TUNNELS = 100
"""So many connections to its ports a container may have at once, also where no stream server counts them."""

_PORTS = range(1, 65536)


class AgentLive:
    """NodeLive over the runtime. `handle` finds the engine's id of a container (raises `NotFound`, `Conflict`)."""

    def __init__(
        self,
        runtime: Runtime,
        handle: Callable[[str], str],
        sessions: ExecSessions,
        describing: Callable[[], Awaitable[NodeDescription]],
        *,
        timeout_seconds: float,
    ) -> None:
        self._streams = runtime.streams
        self._images = runtime.images
        self._handle = handle
        self._sessions = sessions
        self._describing = describing
        self._seconds = timeout_seconds
        self._open: Counter[str] = Counter()
        self._tunnels: Counter[str] = Counter()

    def in_use(self, uuid: str) -> bool:
        """Whether somebody reads the container's output or files now."""
        return self._open[uuid] > 0 if uuid in self._open else False

    @property
    def tunnels(self) -> int:
        """How many connections to ports there are. They keep no container that has ended, as its readers do."""
        return self._tunnels.total()

    @asynccontextmanager
    async def logs(self, uuid: str, query: LogQuery) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Log output; engines tell it line by line, here lines that are there are one piece."""
        with self._opened(uuid):
            async with self._streams.logs(self._handle(uuid), query) as lines, reading_ahead(lines) as chunks:
                yield chunks

    async def exec_create(self, uuid: str, request: ExecRequest) -> str:
        """Prepare a command."""
        handle = self._handle(uuid)
        exec_id = await self._bounded("prepare the command", lambda: self._streams.exec_create(handle, request))
        self._sessions.add(uuid, exec_id)
        return exec_id

    @asynccontextmanager
    async def exec_start(self, uuid: str, exec_id: str) -> AsyncIterator[ByteSession]:
        """Run a prepared command of this container."""
        self._sessions.check(uuid, exec_id)
        with self._opened(uuid):
            async with self._streams.exec_start(exec_id) as session:
                yield session

    async def exec_resize(self, uuid: str, exec_id: str, *, width: int, height: int) -> None:
        """Size of its terminal."""
        self._sessions.check(uuid, exec_id)
        await self._bounded(
            "resize the terminal", lambda: self._streams.exec_resize(exec_id, width=width, height=height)
        )

    @asynccontextmanager
    async def attach(self, uuid: str) -> AsyncIterator[ByteSession]:
        """Talk to the container's process."""
        with self._opened(uuid):
            async with self._streams.attach(self._handle(uuid)) as session:
                yield session

    @asynccontextmanager
    async def port_forward(self, uuid: str, port: int) -> AsyncIterator[Tunnel]:
        """Connect to a port."""
        if port not in _PORTS:
            raise Invalid(f"{port} is no port; they go from {_PORTS[0]} to {_PORTS[-1]}.")
        if self._tunnels[uuid] >= MOST_TUNNELS:
            raise Unavailable(
                f"Container {uuid} has {self._tunnels[uuid]} connections to its ports, as many as one may have; end some."
            )
        self._tunnels[uuid] += 1
        try:
            async with self._streams.port_forward(self._handle(uuid), port) as tunnel:
                yield tunnel
        finally:
            self._tunnels[uuid] -= 1
            if not self._tunnels[uuid]:
                del self._tunnels[uuid]

    async def resize(self, uuid: str, *, width: int, height: int) -> None:
        """Size of the container's terminal."""
        handle = self._handle(uuid)
        await self._bounded("resize the terminal", lambda: self._streams.resize(handle, width=width, height=height))

    async def top(self, uuid: str, ps_args: str | None) -> Top:
        """Its processes."""
        handle = self._handle(uuid)
        return await self._bounded("list the processes", lambda: self._streams.top(handle, ps_args))

    async def stats(self, uuid: str) -> Stats:
        """What it uses now."""
        handle = self._handle(uuid)
        return await self._bounded("measure the container", lambda: self._streams.stats(handle))

    @asynccontextmanager
    async def get_archive(self, uuid: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of `path`."""
        with self._opened(uuid):
            async with self._streams.get_archive(self._handle(uuid), path) as archive:
                yield archive

    async def put_archive(self, uuid: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Unpack a tar; takes as long as the data does."""
        with self._opened(uuid):
            await self._streams.put_archive(self._handle(uuid), path, data)

    async def search_images(self, term: str, *, exact: bool) -> list[dict[str, object]]:
        """Ask the public registry."""
        return await self._bounded("search images", lambda: self._images.search(term, exact=exact))

    async def describe(self) -> NodeDescription:
        """Its clock, versions and certificate."""
        return await self._describing()

    @contextmanager
    def _opened(self, uuid: str) -> Iterator[None]:
        self._open[uuid] += 1
        try:
            yield
        finally:
            self._open[uuid] -= 1
            if not self._open[uuid]:
                del self._open[uuid]

    async def _bounded(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                return await call()
        except TimeoutError as error:
            raise Timeout(f"The engine did not {what} within {self._seconds:g} seconds; try again.") from error
