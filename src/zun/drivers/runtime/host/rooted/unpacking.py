# SPDX-License-Identifier: Apache-2.0
"""A tar, unpacked below a directory. What is in a file's place is taken away, never written through."""

import os
import stat
import tarfile
from typing import IO

_PIECE = 256 << 10


class RefusedError(Exception):
    """The tar, or the place for it, is not as it must be."""


def check_directory(path: str) -> None:
    """Raises `OSError` where nothing is, `NotADirectoryError` where there is something else."""
    if not stat.S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(f"{path} is no directory")


def unpack(path: str, data: IO[bytes]) -> None:
    """Unpack all of it. Raises `tarfile.TarError`, `RefusedError`, `OSError`; what was unpacked until then stays."""
    with tarfile.open(fileobj=data, mode="r|") as archive:
        for member in archive:
            inner = os.path.normpath("/" + member.name).lstrip("/")
            _place(archive, member, os.path.join(path, inner) if inner else path, path)
            archive.members = []  # type: ignore[attr-defined]  # else it keeps them all


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, target: str, path: str) -> None:
    os.makedirs(os.path.dirname(target) or "/", exist_ok=True)
    if member.isdir():
        _directory(target)
    else:
        _clear(target)
        if member.isreg():
            _file(archive, member, target)
        elif member.issym():
            os.symlink(member.linkname, target)
        elif member.islnk():
            linked = os.path.normpath("/" + member.linkname).lstrip("/")
            os.link(os.path.join(path, linked), target, follow_symlinks=False)
            return
        elif member.isfifo():
            os.mkfifo(target)
        else:
            raise RefusedError(f"{member.name} is a device; only files, directories and links can be copied in")
    os.chown(target, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        os.chmod(target, member.mode & 0o7777)
        os.utime(target, (member.mtime, member.mtime))


def _directory(target: str) -> None:
    try:
        os.mkdir(target)
    except FileExistsError:
        if not os.path.isdir(target):
            os.unlink(target)
            os.mkdir(target)


def _clear(target: str) -> None:
    try:
        os.unlink(target)
    except FileNotFoundError:
        return
    except IsADirectoryError as error:
        try:
            os.rmdir(target)
        except OSError:
            raise RefusedError(
                f"{target} is a directory with something in it, and the archive has a file there"
            ) from error


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo, target: str) -> None:
    content = archive.extractfile(member)
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        while content is not None and (piece := content.read(_PIECE)):
            left = memoryview(piece)
            while left:
                left = left[file.write(left) :]
