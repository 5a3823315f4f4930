# SPDX-License-Identifier: Apache-2.0
"""The files of one container's log: the one that is written, and the one that was turned over before it."""

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zun.drivers.runtime.cri.log_entries import kind_of
from zun.drivers.runtime.cri.places import LOG, TURNED_LOG

BLOCK = 256 << 10
_TRIES = 5


@dataclass
class LogFile:
    """An open log file, read from `offset` on."""

    descriptor: int
    offset: int = 0

    def read(self) -> bytes:
        """The next block; empty at the end, for now."""
        data = os.pread(self.descriptor, BLOCK, self.offset)
        self.offset += len(data)
        return data

    @property
    def inode(self) -> int:
        """What it is, whatever it is called."""
        return os.fstat(self.descriptor).st_ino

    def is_written(self) -> bool:
        """Whether anybody has it open for writing: the kernel grants a read lease only on a file that nobody writes.

        A file system without leases is taken to be written no more.
        """
        fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, signal.SIGURG)  # should somebody come just now; the default kills
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def open_files(directory: Path) -> list[LogFile]:
    """What there is, the older one first. A log that is turned over while it is opened is opened again."""
    for _ in range(_TRIES):
        current, turned = open_file(directory / LOG), open_file(directory / TURNED_LOG)
        if current is None or turned is None or current.inode != turned.inode:
            return [file for file in (turned, current) if file is not None]
        current.close()
        turned.close()
    return []


def open_file(path: Path) -> LogFile | None:
    """A log file; None when there is none."""
    try:
        return LogFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
    except FileNotFoundError:
        return None


def inode_at(path: Path) -> int | None:
    """What is at a path now."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def skip_to_tail(files: list[LogFile], lines: int, channels: frozenset[bytes]) -> None:
    """Move the files' offsets so that what is read begins at the last so many lines. Reads backwards, a block at a time.

    A line that is not complete yet counts as one.
    """
    found, newest = 0, True
    for number in range(len(files) - 1, -1, -1):
        for line, end in _backwards(files[number].descriptor):
            channel, whole = kind_of(line)
            if channel not in channels:
                continue
            found += whole or newest
            newest = False
            if found > lines:
                files[number].offset = end
                for older in files[:number]:
                    older.offset = os.fstat(older.descriptor).st_size
                return


def _backwards(descriptor: int) -> Iterator[tuple[bytes, int]]:
    """The file's complete lines from the last to the first, each with the place behind it."""
    position = _behind_last_line(descriptor)
    tail = b""  # the end of a line whose beginning lies in the block before
    while position > 0:
        begin = max(0, position - BLOCK)
        data = os.pread(descriptor, position - begin, begin) + tail
        lines = data.split(b"\n")[:-1]
        end = begin + len(data)
        for line in reversed(lines[1:] if begin else lines):
            yield line, end
            end -= len(line) + 1
        tail, position = lines[0] + b"\n", begin


def _behind_last_line(descriptor: int) -> int:
    position = os.fstat(descriptor).st_size
    while position > 0:
        begin = max(0, position - BLOCK)
        found = os.pread(descriptor, position - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        position = begin
    return 0
