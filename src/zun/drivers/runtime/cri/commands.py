# SPDX-License-Identifier: Apache-2.0
"""Commands inside a running container, run through containerd's task service rather than the CRI's streaming server.

The CRI's exec takes neither environment nor directory, and over its WebSockets the end of input cannot be sent
(docs/decisions/0051-commands-through-the-task-service.md). Here a command gets the container's own process specification with what is
different about it, three named pipes, and the end of its input when it comes.
"""

import asyncio
import secrets
import signal
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.calls import ContainerdCalls
from zun.drivers.runtime.cri.command_session import Command, CommandSession
from zun.drivers.runtime.cri.handles import identity_of
from zun.drivers.runtime.cri.places import Places
from zun.drivers.runtime.types import ExecRequest
from zun.model.errors import Conflict, Invalid, NotFound

_REMEMBERED = 1000


class Commands:
    """Prepared and running commands of one driver. Those that nobody watches run on, and their output is thrown away."""

    def __init__(self, containerd: ContainerdCalls, attempts: Attempts, places: Places) -> None:
        self._containerd = containerd
        self._attempts = attempts
        self._places = places
        self._known: OrderedDict[str, Command] = OrderedDict()
        self._unwatched: set[asyncio.Task[None]] = set()

    async def prepare(self, handle: str, request: ExecRequest) -> str:
        """Remember a command; returns its id. Raises `Conflict` when the container does not run."""
        if not request.argv:
            raise Invalid("No command was given; name one.")
        status = await self._attempts.running(identity_of(handle), "no command can run in it")
        exec_id = secrets.token_hex(32)
        self._known[exec_id] = Command(status.id, request)
        while len(self._known) > _REMEMBERED:
            self._forget_one()
        return exec_id

    @asynccontextmanager
    async def start(self, exec_id: str) -> AsyncIterator[CommandSession]:
        """Run a prepared command, once."""
        command = self._find(exec_id)
        if command.state != "prepared":
            raise Conflict("This command was started already; prepare another.")
        command.state = "running"
        session = CommandSession(self._containerd, exec_id, command, self._places.pipes / exec_id)
        try:
            await session.begin()
            yield session
        finally:
            self._see_to_its_end(session)

    async def resize(self, exec_id: str, *, width: int, height: int) -> None:
        """Change the size of a command's terminal. What has not begun gets it when it begins."""
        command = self._find(exec_id)
        if command.state == "ended":
            raise Conflict("This command has ended; prepare another.")
        command.size = (width, height)
        if command.state == "running":
            request = cd.ResizePtyRequest(
                container_id=command.container_id, exec_id=exec_id, width=width, height=height
            )
            await self._containerd.resize(request, "resize the command's terminal")

    async def kill(self, exec_id: str) -> None:
        """Kill the process of a command that runs."""
        command = self._known.get(exec_id)
        if command is None or command.state != "running":
            return
        request = cd.KillRequest(container_id=command.container_id, exec_id=exec_id, signal=signal.SIGKILL)
        try:
            await self._containerd.kill(request, "kill the command")
        except (NotFound, Conflict):
            return  # it has ended meanwhile

    async def close(self) -> None:
        """Let go of all; they run on."""
        for task in self._unwatched:
            task.cancel()
        await asyncio.gather(*self._unwatched, return_exceptions=True)

    def _find(self, exec_id: str) -> Command:
        try:
            return self._known[exec_id]
        except KeyError:
            raise NotFound("There is no such exec session; prepare the command again.") from None

    def _forget_one(self) -> None:
        """The oldest of those that have ended, if any has: checks of containers must not push out what people have open."""
        ended = (exec_id for exec_id, command in self._known.items() if command.state == "ended")
        del self._known[next(ended, next(iter(self._known)))]

    def _see_to_its_end(self, session: CommandSession) -> None:
        if not session.begun:
            session.let_go()
            return
        task = asyncio.create_task(session.watch_to_the_end())
        self._unwatched.add(task)
        task.add_done_callback(self._unwatched.discard)
