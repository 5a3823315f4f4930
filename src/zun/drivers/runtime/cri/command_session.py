# SPDX-License-Identifier: Apache-2.0
"""One command in a container, and the conversation with it: three named pipes, its size, its end."""

import asyncio
import json
import logging
import math
import os
import shutil
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri.calls import ContainerdCalls
from zun.drivers.runtime.host.pipes import PipeReader, PipeWriter
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest
from zun.model.errors import Conflict, Invalid, NotFound, ZunError

_log = logging.getLogger(__name__)

_PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
_NOT_FOUND, _NOT_STARTED = 127, 126
_LAST_WORDS_SECONDS = 2.0
"""A command's child may hold its output open for ever; after the command's end nothing is waited for longer than this."""


@dataclass
class Command:
    """A prepared command. `state` is prepared, running or ended."""

    container_id: str
    request: ExecRequest
    size: tuple[int, int] | None = None
    state: str = "prepared"


@dataclass
class CommandSession:
    """Implements `ByteSession` over three named pipes."""

    containerd: ContainerdCalls
    exec_id: str
    command: Command
    directory: Path
    begun: bool = False
    _readers: dict[Channel, PipeReader] = field(default_factory=dict)
    _writer: PipeWriter | None = None
    _input_open: bool = True
    _ready: "deque[Chunk]" = field(default_factory=deque)
    _reading: "dict[asyncio.Task[bytes], Channel]" = field(default_factory=dict)
    _waiting: "asyncio.Task[int | None] | None" = None
    _code: int | None = None
    _over: bool = False

    async def begin(self) -> None:
        """Start the command. One that cannot be started says so on its output, as it would in a shell."""
        request, container_id = self.command.request, self.command.container_id
        told = await self.containerd.container(cd.GetContainerRequest(id=container_id), "show the container")
        paths = self._make_pipes()
        asked = cd.ExecProcessRequest(
            container_id=container_id,
            exec_id=self.exec_id,
            terminal=request.tty,
            spec=cd.Any(type_url=_PROCESS, value=process_spec(told.container.spec.value, request)),
            **paths,
        )
        await self.containerd.exec(asked, "prepare the command")
        try:
            await self.containerd.start(
                cd.StartRequest(container_id=container_id, exec_id=self.exec_id), "run the command"
            )
        except Invalid as error:
            await self._cannot_start(error)
            return
        self.begun = True
        if self._writer is not None:
            self._writer.settle(self.directory / "stdin")
        self._waiting = asyncio.create_task(self._wait())
        self._reading = {self._read(channel): channel for channel in self._readers}
        if self.command.size is not None and request.tty:
            await self._give_size(self.command.size)

    async def read(self) -> Chunk | None:
        """The next piece of output; None at the end."""
        while not self._ready and not self._over:
            await self._read_more()
        return self._ready.popleft() if self._ready else None

    async def write(self, data: bytes) -> None:
        """To the command's stdin; waits while it does not read."""
        if self._writer is None or not self._input_open:
            raise Conflict("Its standard input is closed: the process has ended or its end of input was sent already.")
        await self._writer.write(data)

    async def close_stdin(self) -> None:
        """End of input: when both ends for writing are closed, ours and the shim's, the command reads it."""
        if not self._input_open:
            return
        self._input_open = False
        if self._writer is None or self.command.request.tty:
            return
        self._writer.close()
        request = cd.CloseIORequest(container_id=self.command.container_id, exec_id=self.exec_id, stdin=True)
        try:
            await self.containerd.close_io(request, "end the command's input")
        except (NotFound, Conflict):
            return  # it has ended meanwhile

    async def exit_code(self) -> int | None:
        """The command's exit code, once `read` has returned None."""
        if self._waiting is not None and self._over:
            self._code = await self._waiting
        return self._code

    async def watch_to_the_end(self) -> None:
        """For a session that was left, or has ended: see the command out, then let containerd forget it."""
        try:
            while not self._over:
                self._ready.clear()
                await self._read_more()
            if self._waiting is not None:
                await self._waiting
            await self.containerd.delete_process(self._process(), "clear the command away")
        except ZunError as error:
            _log.info("the command %s was not cleared away: %s", self.exec_id, error)
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close and remove the pipes."""
        self.command.state = "ended"
        for task in (*self._reading, *([self._waiting] if self._waiting is not None else [])):
            task.cancel()
        for reader in self._readers.values():
            reader.close()
        if self._writer is not None:
            self._writer.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def _read_more(self) -> None:
        """Wait for output. When the command has ended, a stream that a child of it holds open is waited for no longer than a moment."""
        if not self._reading:
            self._over = True
            return
        ended = self._waiting is not None and self._waiting.done()
        waits: set[asyncio.Task[Any]] = {*self._reading}
        if self._waiting is not None and not ended:
            waits.add(self._waiting)
        limit = _LAST_WORDS_SECONDS if ended else None
        done, _ = await asyncio.wait(waits, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if not done and ended:
            self._over = True
            return
        for task in [task for task in self._reading if task in done]:
            channel = self._reading.pop(task)
            if data := task.result():
                self._ready.append(Chunk(channel, data))
                self._reading[self._read(channel)] = channel

    def _read(self, channel: Channel) -> "asyncio.Task[bytes]":
        return asyncio.create_task(self._readers[channel].read())

    async def _wait(self) -> int | None:
        request = cd.WaitRequest(container_id=self.command.container_id, exec_id=self.exec_id)
        try:
            code = (await self.containerd.wait(request, "wait for the command", seconds=math.inf)).exit_status
        except ZunError as error:
            _log.info("the end of the command %s was not told: %s", self.exec_id, error)
            return None
        finally:
            self.command.state = "ended"
        return code

    async def _cannot_start(self, error: Invalid) -> None:
        self._code = _NOT_FOUND if "not found" in error.message or "no such file" in error.message else _NOT_STARTED
        self._ready.append(
            Chunk(Channel.STDOUT if self.command.request.tty else Channel.STDERR, error.message.encode() + b"\n")
        )
        self._over = True
        try:
            await self.containerd.delete_process(self._process(), "clear the command away")
        except NotFound:
            return

    async def _give_size(self, size: tuple[int, int]) -> None:
        request = cd.ResizePtyRequest(
            container_id=self.command.container_id, exec_id=self.exec_id, width=size[0], height=size[1]
        )
        try:
            await self.containerd.resize(request, "resize the command's terminal")
        except ZunError as error:
            _log.info("the command %s began without the size of its terminal: %s", self.exec_id, error)

    def _process(self) -> cd.DeleteProcessRequest:
        return cd.DeleteProcessRequest(container_id=self.command.container_id, exec_id=self.exec_id)

    def _make_pipes(self) -> dict[str, str]:
        request = self.command.request
        outputs = {Channel.STDOUT: "stdout"} if request.tty else {Channel.STDOUT: "stdout", Channel.STDERR: "stderr"}
        self.directory.mkdir(mode=0o700)
        paths = {}
        for channel, name in outputs.items():
            paths[name] = _pipe(self.directory / name)
            self._readers[channel] = PipeReader.named(self.directory / name)
        if request.stdin:
            paths["stdin"] = _pipe(self.directory / "stdin")
            self._writer = PipeWriter.named(self.directory / "stdin")
        return paths


def process_spec(container_spec: bytes, request: ExecRequest) -> bytes:
    """The container's own process (user, rights, limits) with the command's arguments, environment and directory."""
    process: dict[str, Any] = json.loads(container_spec)["process"]
    environment = dict(one.partition("=")[::2] for one in process.get("env") or ())
    environment |= request.environment
    if request.tty:
        environment.setdefault("TERM", "xterm")
    process |= {
        "terminal": request.tty,
        "args": request.argv,
        "env": [f"{name}={value}" for name, value in environment.items()],
        "cwd": request.workdir or process.get("cwd") or "/",
    }
    process.pop("consoleSize", None)
    return json.dumps(process).encode()


def _pipe(path: Path) -> str:
    os.mkfifo(path, 0o600)
    return str(path)
