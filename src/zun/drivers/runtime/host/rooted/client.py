# SPDX-License-Identifier: Apache-2.0
"""Our side of the process that works inside a container's root: starting it, its two pipes, what its words mean."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from zun.drivers.runtime.host.children import Child
from zun.drivers.runtime.types import PathStat
from zun.model.errors import Conflict, Invalid, NotFound, Timeout, Unavailable, ZunError

T = TypeVar("T")
_log = logging.getLogger(__name__)

_SOURCE = Path(__file__).parents[5]


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

    def __init__(self, child: Child, path: str, idle_seconds: float) -> None:
        self._child = child
        self._path = path
        self._idle_seconds = idle_seconds
        self._heard = b""
        self._cut_short = ""

    @classmethod
    async def begin(cls, verb: str, root: Root, path: str, *, idle_seconds: float) -> "tuple[Rooted, PathStat | None]":
        """Start it for `get` or `put`; returns when it is inside and has seen the path. Raises `NotFound`, `Invalid`, `Unavailable`."""
        name = os.path.basename(path.rstrip("/")) or "."
        task = asdict(root) | {"verb": verb, "path": path or "/", "name": name, "root": root.directory}
        words = [sys.executable, "-S", "-B", "-m", "zun.drivers.runtime.host.rooted", json.dumps(task)]
        child = await Child.start(words, environment={"PYTHONPATH": str(_SOURCE)})
        rooted = cls(child, path, idle_seconds)
        try:
            told = await rooted._bounded(rooted._hear())
        except BaseException:
            await rooted.close()
            raise
        return rooted, _path_stat(told) if verb == "get" else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The tar of a `get`. Raises `Unavailable` when it breaks off."""
        data, self._heard = self._heard, b""
        while data or (data := await self._bounded(self._child.stdout.read())):
            yield data
            data = b""
        if (code := await self._bounded(self._child.wait())) != 0:
            await self._note(code)
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
        self._child.kill()
        await self._child.wait()

    async def close(self) -> None:
        """End it, and with it its mounts; for who began it."""
        await self._child.close()

    async def _pump(self, data: AsyncIterator[bytes]) -> None:
        pieces = aiter(data)
        try:
            while (piece := await self._bounded(anext(pieces, None))) is not None:
                await self._bounded(self._child.stdin.write(piece))
        except Conflict:
            return  # it has had enough, and says why
        self._child.stdin.close()

    async def _hear(self) -> dict[str, Any]:
        """The next line of JSON; what follows it is kept."""
        while b"\n" not in self._heard:
            data = await self._child.stdout.read()
            if not data:
                await self._note(await self._bounded(self._child.wait()))
                raise self._broken_off()
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise self._meaning(told)
        return told

    async def _note(self, code: int) -> None:
        """Say in the log what the process said last, unless it was ended on purpose."""
        if not self._cut_short:
            complaint = (await self._bounded(self._child.stderr.read())).decode(errors="replace")
            _log.warning("copying %s ended with %s: %s", self._path, code, complaint[-1000:])

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
