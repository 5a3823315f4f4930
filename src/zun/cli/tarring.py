# SPDX-License-Identifier: Apache-2.0
"""Tar archives made and unpacked piece by piece: nothing is ever held whole."""

import io
import os
import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from zun.cli.failures import Failure

_PIECE = 64 * 1024
_BLOCK = tarfile.BLOCKSIZE
_END = b"\0" * (2 * _BLOCK)


def pack(source: Path, name: str) -> Iterator[bytes]:
    """A tar of a file, link or directory, whose top entry is called `name`. Everything belongs to root, as Docker does it."""
    yield from _entry(source, name)
    if source.is_dir() and not source.is_symlink():
        for folder, folders, files in os.walk(source):
            here = Path(folder)
            for child in sorted(folders + files):
                path = here / child
                yield from _entry(path, posixpath.normpath(f"{name}/{path.relative_to(source)}"))
    yield _END


def _entry(path: Path, name: str) -> Iterator[bytes]:
    try:
        stat = path.lstat()
        info = tarfile.TarInfo(name)
        info.mode, info.mtime = stat.st_mode & 0o7777, int(stat.st_mtime)
        if path.is_symlink():
            info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
            yield _header(info)
        elif path.is_dir():
            info.type = tarfile.DIRTYPE
            yield _header(info)
        elif path.is_file():
            yield from _file(path, info)
        # Sockets, devices and the like are of this machine and stay here.
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}.") from error


def _file(path: Path, info: tarfile.TarInfo) -> Iterator[bytes]:
    with path.open("rb") as content:
        info.size = os.fstat(content.fileno()).st_size
        yield _header(info)
        left = info.size
        while left:
            piece = content.read(min(_PIECE, left))
            if not piece:
                raise Failure(f"{path} became shorter while it was copied; copy it again.")
            left -= len(piece)
            yield piece
        yield b"\0" * (-info.size % _BLOCK)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def unpack(pieces: Iterable[bytes], target: Path, *, top: str | None) -> None:
    """Unpack into the directory `target`. With `top`, the archive's top entry gets that name instead of its own
    ("" : what lies in it goes straight into `target`). Nothing is ever written outside of `target`."""
    try:
        with tarfile.open(
            fileobj=_Reader(iter(pieces)), mode="r|", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            for member in archive:
                if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
                    continue  # devices and pipes are of the other machine
                member.name = _renamed(member.name, top)
                if member.islnk():
                    member.linkname = _renamed(member.linkname, top)
                if member.name in ("", "."):
                    continue
                archive.extract(_ours(member), target, filter="tar", numeric_owner=True)
    except tarfile.FilterError as error:
        raise Failure(f"The archive tries to write outside of {target}: {error}. Nothing more was unpacked.") from error
    except tarfile.TarError as error:
        raise Failure(f"The archive is damaged or broke off: {error}. Copy it again.") from error
    except OSError as error:
        raise Failure(f"{error.filename or target} cannot be written: {error.strerror}.") from error


def _ours(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """What is copied out belongs to whoever copies."""
    return member.replace(uid=os.getuid(), gid=os.getgid(), uname="", gname="", deep=False)


def _renamed(name: str, top: str | None) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if top is None or not parts:
        return "/".join(parts)
    return "/".join([top, *parts[1:]] if top else parts[1:])


class _Reader(io.RawIOBase):
    """An iterator of pieces as a file that can only be read forwards."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._kept = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill `target` with what is next; 0 at the end."""
        while not self._kept:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._kept = memoryview(piece)
        room = memoryview(target)
        taken = self._kept[: len(room)]
        room[: len(taken)] = taken
        self._kept = self._kept[len(taken) :]
        return len(taken)
