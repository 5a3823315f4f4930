# SPDX-License-Identifier: Apache-2.0
"""Live things of a Docker engine: the `Streams` part of the port."""

import asyncio
import base64
import binascii
import json
import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.drivers.runtime.base import ByteSession, Tunnel
from zun.drivers.runtime.docker.engine import Engine
from zun.drivers.runtime.docker.hijack import HijackedSession, hijack, let_go
from zun.drivers.runtime.docker.logs import DockerLogs
from zun.drivers.runtime.docker.stats import sample
from zun.drivers.runtime.docker.terminals import Terminals
from zun.drivers.runtime.docker.upload import Upload
from zun.drivers.runtime.host.processes import kill_in
from zun.drivers.runtime.host.ps_arguments import checked
from zun.drivers.runtime.host.tunnels import tunnel
from zun.drivers.runtime.types import Chunk, ExecRequest, LogQuery, PathStat, Stats, Top
from zun.model.errors import Conflict, Internal, Invalid, NotFound, Timeout, Unsupported, ZunError

_log = logging.getLogger(__name__)

_SETTLING = Backoff(first_seconds=0.005, cap_seconds=0.25, attempts=12)
"""How often the engine is asked for what it has not written down yet: an exit code though the output has ended, a process that is to be killed."""

_ATTACHABLE = frozenset({"created", "running", "paused"})
_SIZES_REMEMBERED = 1000
_EXEC_ID = re.compile(r"[0-9a-f]{64}")
_ATTACH = {"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1"}


class DockerStreams:
    """Implements `Streams` on a Docker engine."""

    def __init__(self, engine: Engine, clock: Clock, terminals: Terminals) -> None:
        self._engine = engine
        self._clock = clock
        self._terminals = terminals
        self._logs = DockerLogs(engine, terminals)
        self._sizes: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._begun: set[str] = set()  # commands that somebody watches; the engine may not have got to them yet

    def logs(self, handle: str, query: LogQuery) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """Log output; with `follow` until the container ends."""
        return self._logs.open(handle, query)

    async def exec_create(self, handle: str, request: ExecRequest) -> str:
        """Prepare a command."""
        if not request.argv:
            raise Invalid("No command was given; name one.")
        body = {
            "Cmd": request.argv,
            "Tty": request.tty,
            "AttachStdin": request.stdin,
            "AttachStdout": True,
            "AttachStderr": True,
            "Env": [f"{key}={value}" for key, value in request.environment.items()],
            "WorkingDir": request.workdir or "",
        }
        made = await self._engine.call("POST", f"containers/{handle}/exec", "prepare the command", body=body)
        exec_id: str = made["Id"]
        return exec_id

    @asynccontextmanager
    async def exec_start(self, exec_id: str) -> AsyncIterator[ByteSession]:
        """Run a prepared command. The engine would write a refusal into the stream, so it is asked beforehand."""
        _check_exec(exec_id)
        told = await self._engine.call("GET", f"exec/{exec_id}/json", "show the command")
        if told["Running"] or told["ExitCode"] is not None:
            raise Conflict("This command was started already; prepare another.")
        tty = bool(told["ProcessConfig"]["tty"])

        async def exit_code() -> int | None:
            return await self._settled(f"exec/{exec_id}/json", "ask for the command's exit code")

        body = {"Detach": False, "Tty": tty}
        size = self._sizes.pop(exec_id, None)
        streams = await hijack(self._engine, f"exec/{exec_id}/start", "run the command", body=body)
        # Beside the session: for a command that cannot be started the engine thinks ten seconds about its size.
        sizing = asyncio.create_task(self._give_size(exec_id, size)) if tty and size else None
        self._begun.add(exec_id)
        try:
            yield HijackedSession(self._engine, streams, tty=tty, half_close=True, exit_code=exit_code)
        finally:
            self._begun.discard(exec_id)
            if sizing is not None:
                sizing.cancel()
                await asyncio.gather(sizing, return_exceptions=True)
            await let_go(streams[1])

    async def exec_resize(self, exec_id: str, *, width: int, height: int) -> None:
        """Change the size of a command's terminal. What has not begun gets it when it begins: the engine would not take it before."""
        _check_exec(exec_id)
        told = await self._engine.call("GET", f"exec/{exec_id}/json", "show the command")
        if told["Running"]:
            await self._resize_exec(exec_id, (width, height))
        elif told["ExitCode"] is not None:
            raise Conflict("This command has ended; prepare another.")
        else:
            self._sizes[exec_id] = (width, height)
            while len(self._sizes) > _SIZES_REMEMBERED:
                self._sizes.popitem(last=False)

    async def exec_kill(self, exec_id: str) -> None:
        """Kill the command's process. The engine has no word for it, so this machine is asked: the process must be one of the container's."""
        _check_exec(exec_id)
        for delay in _SETTLING.delays():
            try:
                told = await self._engine.call("GET", f"exec/{exec_id}/json", "show the command")
            except NotFound:
                return
            if told["Running"] and told["Pid"]:
                if not self._engine.address.socket_path:
                    raise Unsupported(
                        "The engine is on another machine, where this command cannot be killed; end its container."
                    )
                kill_in(told["ContainerID"], told["Pid"])
                return
            if exec_id not in self._begun or told["ExitCode"] is not None:
                return
            await self._clock.sleep(delay)
        raise Timeout("The engine has not begun this command yet, so it could not be killed; try again.")

    async def _give_size(self, exec_id: str, size: tuple[int, int]) -> None:
        try:
            await self._resize_exec(exec_id, size)
        except ZunError as error:
            _log.info("The command %s began without the size of its terminal: %s", exec_id, error)

    async def _resize_exec(self, exec_id: str, size: tuple[int, int]) -> None:
        params = {"w": str(size[0]), "h": str(size[1])}
        await self._engine.call("POST", f"exec/{exec_id}/resize", "resize the command's terminal", params=params)

    @asynccontextmanager
    async def attach(self, handle: str) -> AsyncIterator[ByteSession]:
        """Talk to the container's own process.

        The engine lets one attach to what has ended, and then says nothing for ever; so it is looked at, after attaching, lest it end
        in between. It would also end the session on a half-close, so there is none, unless the input was made to end with the session.
        """

        async def exit_code() -> int | None:
            return await self._settled(f"containers/{handle}/json", "ask for the container's exit code")

        streams = await hijack(self._engine, f"containers/{handle}/attach", "attach to the container", params=_ATTACH)
        try:
            told = await self._engine.call("GET", f"containers/{handle}/json", "show the container")
            if told["State"]["Status"] not in _ATTACHABLE:
                raise Conflict("The container has ended; start it before attaching.")
            tty = bool(told["Config"]["Tty"])
            once = bool(told["Config"]["StdinOnce"]) and not tty
            yield HijackedSession(self._engine, streams, tty=tty, half_close=once, exit_code=exit_code)
        finally:
            await let_go(streams[1])

    async def resize(self, handle: str, *, width: int, height: int) -> None:
        """Change the size of the container's terminal."""
        params = {"w": str(width), "h": str(height)}
        await self._engine.call("POST", f"containers/{handle}/resize", "resize the terminal", params=params)

    @asynccontextmanager
    async def port_forward(self, handle: str, port: int) -> AsyncIterator[Tunnel]:
        """Connect to a port of the container."""
        if not self._engine.address.is_here:
            raise Unsupported(
                "This node's engine is on another machine, or not root's, so the ports of its containers cannot be reached."
            )
        told = await self._engine.call("GET", f"containers/{handle}/json", "show the container")
        if told["State"]["Status"] != "running":
            raise Conflict("The container does not run, so nothing listens in it; start it first.")
        async with tunnel(told["Id"], told["State"]["Pid"], port) as opened:
            yield opened

    async def top(self, handle: str, ps_args: str | None) -> Top:
        """Its processes. Raises `Invalid` for arguments that could show others."""
        params = {"ps_args": checked(ps_args)} if ps_args and ps_args.strip() else None
        told = await self._engine.call("GET", f"containers/{handle}/top", "list the processes", params=params)
        return Top(titles=told["Titles"], processes=told["Processes"] or [])

    async def stats(self, handle: str) -> Stats:
        """What it uses now."""
        return await sample(self._engine, self._clock, handle)

    @asynccontextmanager
    async def get_archive(self, handle: str, path: str) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
        """A tar of what lies at `path`."""
        async with self._engine.stream(
            "GET",
            f"containers/{handle}/archive",
            f"copy {path} from the container",
            params={"path": path},
            idle_seconds=self._engine.options.idle_seconds,
            answer_seconds=self._engine.options.call_seconds,
        ) as incoming:
            yield _path_stat(incoming.headers.get("X-Docker-Container-Path-Stat", "")), incoming.pieces()

    async def put_archive(self, handle: str, path: str, data: AsyncIterator[bytes]) -> None:
        """Unpack a tar into the directory `path`."""
        upload = Upload(data, self._engine.options.idle_seconds)
        async with (
            upload.watched(),
            self._engine.stream(
                "PUT",
                f"containers/{handle}/archive",
                f"copy into {path} of the container",
                params={"path": path},
                headers={"Content-Type": "application/x-tar"},
                body=upload.pieces(),
            ) as incoming,
        ):
            async for _ in incoming.pieces():
                continue

    async def _settled(self, path: str, doing: str) -> int | None:
        """The exit code, when the engine has written it down; None while the process runs on."""
        for delay in _SETTLING.delays():
            told = await self._engine.call("GET", path, doing)
            state = told.get("State", told)
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            await self._clock.sleep(delay)
        return None


def _check_exec(exec_id: str) -> None:
    if not _EXEC_ID.fullmatch(exec_id):
        raise NotFound("There is no such exec session; its id is 64 hexadecimal digits.")


def _path_stat(header: str) -> PathStat:
    try:
        told = json.loads(base64.b64decode(header))
        return PathStat(told["name"], told["size"], told["mode"], told["mtime"], told.get("linkTarget", ""))
    except (ValueError, KeyError, binascii.Error) as error:
        raise Internal(
            "Docker told nothing of the path it was asked for; look at the log of the Docker engine."
        ) from error
