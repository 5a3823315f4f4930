# SPDX-License-Identifier: Apache-2.0
"""Our side of the process that works inside a container's root: starting it, its two pipes, what its words mean."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from zun.drivers.runtime.types import PathStat
from zun.model.errors import Internal, Invalid, NotFound, Timeout, Unavailable, ZunError

T = TypeVar("T")

_PIECE = 256 << 10
_SOURCE = Path(__file__).parents[5]
_CLOSING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a file system is mounted, as mount(2) wants it."""

    type: str
    source: str
    options: list[str]


@dataclass(frozen=True, slots=True)
class Bind:
    """What of the machine lies where in the container."""

    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class Root:
    """A container's root: a directory, or how to mount it; with its volumes. `at` is an empty directory to mount it at."""

    at: str
    directory: str = ""
    mount: Snapshot | None = None
    binds: tuple[Bind, ...] = ()


class Rooted:
    """One such process. Made by `begin`; `close` ends it. A stream that stands still for `idle_seconds` is given up."""

    def __init__(self, process: asyncio.subprocess.Process, path: str, idle_seconds: float) -> None:
        self._process = process
        self._path = path
        self._idle_seconds = idle_seconds
        self._cut_short = ""

    @classmethod
    async def begin(cls, verb: str, root: Root, path: str, *, idle_seconds: float) -> "tuple[Rooted, PathStat | None]":
        """Start it for `get` or `put`; returns when it is inside and has seen the path. Raises `NotFound`, `Invalid`, `Unavailable`."""
        name = os.path.basename(path.rstrip("/")) or "."
        task = asdict(root) | {"verb": verb, "path": path or "/", "name": name, "root": root.directory}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-S", "-B", "-m", "zun.drivers.runtime.host.rooted", json.dumps(task),
                stdin=pipe, stdout=pipe, stderr=pipe, limit=_PIECE, cwd="/", env={"PYTHONPATH": str(_SOURCE)},
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(f"The node could not start a process to copy files ({error.strerror}).") from error
        rooted = cls(process, path, idle_seconds)
        try:
            told = await rooted._bounded(rooted._hear())
        except BaseException:
            await rooted.close()
            raise
        return rooted, _path_stat(told) if verb == "get" else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The tar of a `get`. Raises `Unavailable` when it breaks off."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        while data := await self._bounded(self._process.stdout.read(_PIECE)):
            yield data
        if await self._bounded(self._process.wait()) != 0:
            raise self._broken_off()

    async def send(self, data: AsyncIterator[bytes]) -> None:
        """The tar of a `put`, to its end. Raises `Invalid` for what is no tar, and what `data` raises."""
        pumping = asyncio.ensure_future(self._pump(data))
        hearing = asyncio.ensure_future(self._hear())  # it may have enough before all is sent
        try:
            await asyncio.wait({pumping, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                await pumping
                await self._bounded(asyncio.shield(hearing))
            await hearing
        finally:
            for task in (pumping, hearing):
                task.cancel()
            await asyncio.gather(pumping, hearing, return_exceptions=True)

    async def cut(self, why: str) -> None:
        """End it from outside, while somebody may be at its pipes; they are told why. Returns when its mounts are gone."""
        self._cut_short = why
        self._kill()
        async with asyncio.timeout(_CLOSING_SECONDS):
            await self._process.wait()

    async def close(self) -> None:
        """End it, and with it its mounts; for who began it."""
        self._kill()
        async with asyncio.timeout(_CLOSING_SECONDS):
            await self._process.communicate()

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def _pump(self, data: AsyncIterator[bytes]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        writer, pieces = self._process.stdin, aiter(data)
        try:
            while (piece := await self._bounded(anext(pieces, None))) is not None:
                writer.write(piece)
                await self._bounded(writer.drain())
            writer.close()
            await self._bounded(writer.wait_closed())
        except (BrokenPipeError, ConnectionResetError):
            return  # it has had enough, and says why

    async def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        line = await self._process.stdout.readline()
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError as error:
            complaint = b"" if self._cut_short else await self._complaint()
            if self._cut_short or not complaint:
                raise self._broken_off() from error
            raise Internal(
                f"The process that copies files failed: {complaint.decode(errors='replace')[-300:]}. Report this."
            ) from error
        if "error" in told:
            raise self._meaning(told)
        return told

    async def _complaint(self) -> bytes:
        assert self._process.stderr is not None  # noqa: S101 - a pipe
        return await self._bounded(self._process.stderr.read())

    def _meaning(self, told: dict[str, Any]) -> ZunError:
        message = told["message"]
        if told["error"] == "not-found":
            return NotFound(f"There is no {self._path} in the container; look at what is there first.")
        if told["error"] == "invalid":
            return Invalid(f"{self._path}: {message}. Send an uncompressed tar, and name a directory to unpack it in.")
        return Unavailable(f"The node could not copy {self._path}: {message}.")

    def _broken_off(self) -> Unavailable:
        why = self._cut_short or "the process that copies files was ended"
        return Unavailable(f"Copying {self._path} broke off: {why}. Try again.")

    async def _bounded(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await work
        except TimeoutError as error:
            raise Timeout(f"The archive stood still for {self._idle_seconds:g} seconds; send it again.") from error


def _path_stat(told: dict[str, Any]) -> PathStat:
    stat = told["stat"]
    return PathStat(stat["name"], stat["size"], stat["mode"], stat["mtime"], stat["link_target"])
