# SPDX-License-Identifier: Apache-2.0
"""The agent's own memory on disk: what it is about to do is written down, and synced, before it does it.

An append-only file; each line is a checksum and all that is known of one container (the last line of a container counts,
one without memory says it is forgotten). A line torn by a crash fails its checksum and is as if never written. Writers that
come together share one sync. Rewritten whole at the start and when most of it is history.
"""

import asyncio
import logging
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from zun.agent.blocking import RunBlocking, in_thread
from zun.agent.memory import Memory
from zun.model.errors import Unavailable

_log = logging.getLogger(__name__)

REWRITE_BYTES = 1024 * 1024
"""A smaller file is left alone."""

REWRITE_FACTOR = 4
"""A file so many times larger than what counts in it is rewritten."""


class _Line(msgspec.Struct, omit_defaults=True):
    uuid: str
    memory: Memory | None = None


class Journal:
    """The journal in one file. Made by `open_journal`; used from one event loop."""

    def __init__(self, path: Path, memories: dict[str, Memory], run_blocking: RunBlocking) -> None:
        self._path = path
        self._run_blocking = run_blocking
        self._encoder = msgspec.json.Encoder()
        self._live = {uuid: self._line(uuid, memory) for uuid, memory in memories.items()}
        self._live_bytes = sum(map(len, self._live.values()))
        self._pending: deque[bytes] = deque()
        self._appended = 0
        self._durable = 0
        self._lock = asyncio.Lock()
        self._file_lock = threading.Lock()
        self._size = 0
        self._whole = True

    async def commit(self, memory: Memory) -> None:
        """Write down and return when it is on disk. Raises `Unavailable` when the disk does not take it."""
        self.write(memory)
        await self.flush()

    def write(self, memory: Memory) -> None:
        """Write down with the next flush."""
        line = self._line(memory.uuid, memory)
        self._live_bytes += len(line) - len(self._live.get(memory.uuid, b""))
        self._live[memory.uuid] = line
        self._append(line)

    def forget(self, uuid: str) -> None:
        """The container is no longer ours to know about."""
        line = self._live.pop(uuid, None)
        if line is not None:
            self._live_bytes -= len(line)
            self._append(self._line(uuid, None))

    async def flush(self) -> None:
        """Return when everything written so far is on disk. Raises `Unavailable`."""
        ticket = self._appended
        async with self._lock:
            if self._durable >= ticket and not self._whole:
                return
            covered = self._appended
            await self._run_blocking(self._job())
            self._durable = covered

    def _append(self, line: bytes) -> None:
        self._pending.append(line)
        self._appended += 1

    def _job(self) -> Callable[[], None]:
        """What the disk is to do: add the new lines, or write the whole file anew."""
        if self._whole or self._size > max(REWRITE_BYTES, REWRITE_FACTOR * self._live_bytes):
            self._pending.clear()
            lines = list(self._live.values())
            return lambda: self._guarded(lambda: self._rewrite(lines))
        fresh = [self._pending.popleft() for _ in range(len(self._pending))]
        return lambda: self._guarded(lambda: self._extend(fresh))

    def _guarded(self, write: Callable[[], None]) -> None:
        with self._file_lock:
            try:
                write()
            except OSError as error:
                # What got there is unknown; the next flush writes the whole file.
                self._whole = True
                raise Unavailable(
                    f"The node cannot write its journal {self._path}: {error}. Make room or repair the disk, then try again."
                ) from error

    def _extend(self, lines: list[bytes]) -> None:
        with self._path.open("ab", buffering=0) as file:
            data = memoryview(b"".join(lines))
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
            self._size = file.tell()

    def _rewrite(self, lines: list[bytes]) -> None:
        temporary = self._path.with_name(self._path.name + ".new")
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._size = size
        self._whole = False

    def _line(self, uuid: str, memory: Memory | None) -> bytes:
        body = self._encoder.encode(_Line(uuid, memory))
        return b"%08x %s\n" % (zlib.crc32(body), body)


def open_journal(path: Path, run_blocking: RunBlocking = in_thread) -> tuple[Journal, dict[str, Memory]]:
    """The journal and what it holds. Damaged lines are left out and counted in the log."""
    memories = read_journal(path)
    return Journal(path, memories, run_blocking), memories


def read_journal(path: Path) -> dict[str, Memory]:
    """What the journal holds, by container."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    decoder = msgspec.json.Decoder(_Line)
    memories: dict[str, Memory] = {}
    damaged = 0
    for raw in path.read_bytes().splitlines() if path.exists() else []:
        line = _read_line(raw, decoder)
        if line is None:
            damaged += 1
        elif line.memory is None:
            memories.pop(line.uuid, None)
        else:
            memories[line.uuid] = line.memory
    if damaged:
        _log.warning("%d damaged lines in the journal %s were left out", damaged, path)
    return memories


def _read_line(raw: bytes, decoder: "msgspec.json.Decoder[_Line]") -> _Line | None:
    checksum, _, body = raw.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        return decoder.decode(body)
    except msgspec.DecodeError:
        return None
