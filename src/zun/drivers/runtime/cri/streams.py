# SPDX-License-Identifier: Apache-2.0
"""Live things of a CRI engine: the `Streams` part of the port."""

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from zun.base.clock import Clock
from zun.drivers.runtime.base import ByteSession, Tunnel
from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.archives import Archives
from zun.drivers.runtime.cri.attaching import Attaching
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.calls import ContainerdCalls
from zun.drivers.runtime.cri.commands import Commands
from zun.drivers.runtime.cri.handles import identity_of
from zun.drivers.runtime.cri.logs import Logs
from zun.drivers.runtime.cri.starts import Starts
from zun.drivers.runtime.host import processes
from zun.drivers.runtime.host.cgroups import measure, pids_of
from zun.drivers.runtime.host.ps_arguments import checked
from zun.drivers.runtime.host.tunnels import tunnel
from zun.drivers.runtime.types import Chunk, ExecRequest, LogQuery, PathStat, Stats, Top
from zun.model.errors import Conflict, NotFound, Unsupported

_log = logging.getLogger(__name__)
_UNSEEN = "Its runtime keeps it in no control group that this machine shows, so {what}."


class CriStreams:
    """Implements `Streams` on a CRI engine."""

    def __init__(
        self,
        containerd: ContainerdCalls,
        *,
        attempts: Attempts,
        starts: Starts,
        logs: Logs,
        commands: Commands,
        attaching: Attaching,
        archives: Archives,
        clock: Clock,
    ) -> None:
        self._containerd = containerd
        self._attempts = attempts
        self._starts = starts
        self._logs = logs
        self._commands = commands
        self._attaching = attaching
        self._archives = archives
        self._clock = clock

    def logs(self, handle: str, query: LogQuery) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """Log output; with `follow` until the container ends."""
        return self._logs.open(handle, query)

    async def exec_create(self, handle: str, request: ExecRequest) -> str:
        """Prepare a command."""
        return await self._commands.prepare(handle, request)

    def exec_start(self, exec_id: str) -> AbstractAsyncContextManager[ByteSession]:
        """Run a prepared command."""
        return self._commands.start(exec_id)

    async def exec_resize(self, exec_id: str, *, width: int, height: int) -> None:
        """Change the size of its terminal."""
        await self._commands.resize(exec_id, width=width, height=height)

    async def exec_kill(self, exec_id: str) -> None:
        """Kill the command's process."""
        await self._commands.kill(exec_id)

    def attach(self, handle: str) -> AbstractAsyncContextManager[ByteSession]:
        """Talk to the container's own process."""
        return self._attaching.open(handle)

    async def resize(self, handle: str, *, width: int, height: int) -> None:
        """Change the size of the container's terminal; one that has not begun gets it when it begins."""
        status, _ = await self._attempts.shown(identity_of(handle))
        if status.state == cri.CONTAINER_CREATED:
            self._starts.keep_size(handle, (width, height))
            return
        if status.state != cri.CONTAINER_RUNNING:
            raise Conflict("The container does not run, so its terminal has no size; start it first.")
        request = cd.ResizePtyRequest(container_id=status.id, width=width, height=height)
        await self._containerd.resize(request, "resize the terminal")

    @asynccontextmanager
    async def port_forward(self, handle: str, port: int) -> AsyncIterator[Tunnel]:
        """Connect to a port of the container, past the engine: its streaming server speaks SPDY, and cannot end one way alone."""
        status = await self._attempts.running(identity_of(handle), "nothing listens in it")
        try:
            pid = await self._attempts.pid(status.id)
        except NotFound as error:
            raise Conflict("The container has just ended, so nothing listens in it; start it first.") from error
        async with tunnel(status.id, pid, port) as opened:
            yield opened

    async def top(self, handle: str, ps_args: str | None) -> Top:
        """Its processes. Raises `Invalid` for arguments that could show others.

        Which processes are its own is read from its control group: a sandboxed runtime numbers them in its own way.
        """
        arguments = processes.split(checked(ps_args)) if ps_args and ps_args.strip() else []
        status = await self._attempts.running(identity_of(handle), "it has no processes")
        return await processes.table(lambda: self._pids(status.id), arguments)

    async def stats(self, handle: str) -> Stats:
        """What it uses now."""
        status = await self._attempts.running(identity_of(handle), "it uses nothing")
        try:
            found = await measure(status.id, await self._attempts.pid(status.id), self._clock, memory_limit=0)
        except NotFound as error:
            raise Conflict("The container has just ended, so it uses nothing; start it first.") from error
        if found is None:
            raise Unsupported(_UNSEEN.format(what="what it uses cannot be measured"))
        return found

    def get_archive(self, handle: str, path: str) -> AbstractAsyncContextManager[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of what lies at `path`."""
        return self._archives.get(handle, path)

    async def put_archive(self, handle: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Unpack a tar into the directory `path`."""
        await self._archives.put(handle, path, data)

    async def close(self) -> None:
        """Let go of what is in work; commands run on."""
        await self._commands.close()

    async def _pids(self, container_id: str) -> set[int]:
        try:
            pids = pids_of(container_id, await self._attempts.pid(container_id))
        except (NotFound, OSError) as error:
            raise Conflict("The container has just ended, so it has no processes; start it first.") from error
        if not pids:
            raise Unsupported(_UNSEEN.format(what="its processes cannot be told"))
        return pids
