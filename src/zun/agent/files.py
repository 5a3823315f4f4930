# SPDX-License-Identifier: Apache-2.0
"""Injected files and logins: opened with the node's key, written where the engine can bind them, gone with the container.

They lie below `<state-dir>/files/<uuid>/<number>`. Nobody but root can enter those directories; the files themselves may be read by
everybody, because inside the container their reader is often not root.
"""

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from zun.agent.blocking import RunBlocking, in_thread, produced
from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.base.sealing import BadKeyError, NodeKey
from zun.drivers.runtime.types import Credentials
from zun.model.errors import Internal, Unavailable
from zun.store.nodelink import NodeLink

T = TypeVar("T")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")
_FETCH_SECONDS = 30


class Files:
    """The sealed things of containers, on this node's disk and in its hands."""

    def __init__(
        self, state_dir: Path, key: NodeKey, link: NodeLink, clock: Clock, *, run_blocking: RunBlocking = in_thread
    ) -> None:
        self._run_blocking = run_blocking
        self._root = state_dir / "files"
        self._key = key
        self._link = link
        self._clock = clock
        self._retry = Backoff(first_seconds=0.25, cap_seconds=4.0, attempts=5)

    async def fetch(self, uuid: str) -> dict[int, bytes]:
        """The sealed blobs of a container, still sealed. Raises `Unavailable` when the control plane stays away."""
        for delay in self._retry.delays():
            try:
                return await self._fetch_once(uuid)
            except Unavailable:
                await self._clock.sleep(delay)
        return await self._fetch_once(uuid)

    async def place(self, uuid: str, sealed: dict[int, bytes], count: int) -> dict[int, str]:
        """Write files 0 … count−1; returns their paths by number. Files that are there already stay as they are.

        Raises `Internal` when one is missing or sealed for another key, `Unavailable` when the disk does not take it.
        """
        missing = [number for number in range(count) if number not in sealed]
        if missing:
            raise Internal(
                f"Injected file {missing[0]} of the container did not reach its node; create the container again."
            )
        opened = {number: self._open(sealed[number]) for number in range(count)}
        directory = self._directory(uuid)
        return await self._on_disk(lambda: _write(directory, opened))

    def login(self, sealed: dict[int, bytes], number: int) -> Credentials:
        """The registry login in a blob: JSON with `username`, `password`, `server`. Raises `Internal`."""
        if number not in sealed:
            raise Internal("The registry's login did not reach the node; create the container again.")
        try:
            return msgspec.json.decode(self._open(sealed[number]), type=Credentials)
        except msgspec.DecodeError as error:
            raise Internal("The registry's login is damaged; save the registry's password again.") from error

    async def remove(self, uuid: str) -> None:
        """Remove a container's files; none is no error."""
        directory = self._directory(uuid)
        await self._on_disk(lambda: shutil.rmtree(directory) if directory.exists() else None)

    async def known(self) -> set[str]:
        """The containers that have files here."""
        root = self._root
        return await self._on_disk(lambda: {path.name for path in root.iterdir()} if root.exists() else set())

    def _directory(self, uuid: str) -> Path:
        if not _NAME.fullmatch(uuid):
            raise Internal("A container's id does not look like one; its files were not written.")
        return self._root / uuid

    def _open(self, sealed: bytes) -> bytes:
        try:
            return self._key.open(sealed)
        except BadKeyError as error:
            raise Internal(str(error)) from error

    async def _fetch_once(self, uuid: str) -> dict[int, bytes]:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await self._link.fetch_blobs(uuid)
        except TimeoutError as error:
            raise Unavailable("The control plane did not hand out the container's files in time; try again.") from error

    async def _on_disk(self, work: Callable[[], T]) -> T:
        try:
            return await produced(self._run_blocking, work)
        except OSError as error:
            raise Unavailable(
                f"The node cannot keep the container's files: {error.strerror}. Make room on it or repair its disk."
            ) from error


def _write(directory: Path, contents: dict[int, bytes]) -> dict[int, str]:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.parent.chmod(0o700)
    paths = {}
    for number, content in contents.items():
        path = directory / str(number)
        if not path.exists():
            temporary = directory / f"{number}.new"
            temporary.write_bytes(content)
            temporary.chmod(0o644)
            temporary.replace(path)
        paths[number] = str(path)
    return paths
