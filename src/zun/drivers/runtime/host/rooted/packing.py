# SPDX-License-Identifier: Apache-2.0
"""What lies at a path, as a tar. Nothing but regular files is opened, and those without waiting for anybody."""

import os
import stat
import tarfile
from datetime import UTC, datetime
from typing import IO, Any

_PIECE = 256 << 10
_GO_KINDS = (
    (stat.S_ISDIR, 1 << 31), (stat.S_ISLNK, 1 << 27), (stat.S_ISBLK, 1 << 26), (stat.S_ISCHR, 1 << 26 | 1 << 21),
    (stat.S_ISFIFO, 1 << 25), (stat.S_ISSOCK, 1 << 24),
)  # fmt: skip
_GO_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


def stat_of(path: str) -> dict[str, Any]:
    """What lies there, in the manner of engines (modes as Go's os.FileMode). Raises `OSError`."""
    told = os.lstat(path)
    return {
        "name": os.path.basename(path.rstrip("/")) or "/",
        "size": told.st_size,
        "mode": _go_mode(told.st_mode),
        "mtime": datetime.fromtimestamp(told.st_mtime, UTC).isoformat().replace("+00:00", "Z"),
        "link_target": os.readlink(path) if stat.S_ISLNK(told.st_mode) else "",
    }


def pack(path: str, name: str, out: IO[bytes]) -> None:
    """Write the tar; its first member is called `name`. What vanishes meanwhile is left out."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        links: dict[tuple[int, int], str] = {}
        waiting = [(path, name)]
        while waiting:
            here, called = waiting.pop()
            try:
                told = os.lstat(here)
                _add(archive, here, called, told, links)
                if stat.S_ISDIR(told.st_mode):
                    inner = sorted(os.listdir(here), reverse=True)
                    waiting += [(os.path.join(here, one), f"{called}/{one}") for one in inner]
            except FileNotFoundError:
                if here == path:
                    raise
            archive.members = []  # type: ignore[attr-defined]  # else it keeps them all


def _add(
    archive: tarfile.TarFile, path: str, name: str, told: os.stat_result, links: dict[tuple[int, int], str]
) -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.uid, member.gid = stat.S_IMODE(told.st_mode), told.st_uid, told.st_gid
    member.mtime = told.st_mtime
    if stat.S_ISREG(told.st_mode):
        same = links.setdefault((told.st_dev, told.st_ino), name) if told.st_nlink > 1 else name
        if same != name:
            member.type, member.linkname = tarfile.LNKTYPE, same
            archive.addfile(member)
        else:
            _add_file(archive, path, member)
        return
    if stat.S_ISDIR(told.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(told.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
    elif stat.S_ISFIFO(told.st_mode):
        member.type = tarfile.FIFOTYPE
    elif stat.S_ISCHR(told.st_mode) or stat.S_ISBLK(told.st_mode):
        member.type = tarfile.CHRTYPE if stat.S_ISCHR(told.st_mode) else tarfile.BLKTYPE
        member.devmajor, member.devminor = os.major(told.st_rdev), os.minor(told.st_rdev)
    else:
        return  # a socket has no place in a tar
    archive.addfile(member)


def _add_file(archive: tarfile.TarFile, path: str, member: tarfile.TarInfo) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode):
            return  # it was changed into something else just now
        member.size = told.st_size
        archive.addfile(member, _Exactly(file, told.st_size))


class _Exactly:
    """A file of exactly the size that was told, though it may grow or shrink while it is read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = _PIECE, /) -> bytes:
        """At most so many bytes; zeros where the file has ended too early."""
        wanted = min(size, self._left)
        data = self._file.read(wanted) or b""
        while len(data) < wanted:
            more = self._file.read(min(wanted - len(data), _PIECE))
            data += more or bytes(wanted - len(data))
        self._left -= wanted
        return data


def _go_mode(mode: int) -> int:
    told = mode & 0o777
    told |= next((bits for is_kind, bits in _GO_KINDS if is_kind(mode)), 0)
    for bit, go in _GO_BITS:
        told |= go if mode & bit else 0
    return told
