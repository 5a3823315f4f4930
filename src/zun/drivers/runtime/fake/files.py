# SPDX-License-Identifier: Apache-2.0
"""A file system in a dictionary: enough for archives, volumes and injected files."""

import io
import posixpath
import tarfile
from pathlib import Path

from zun.drivers.runtime.types import PathStat
from zun.model.errors import Invalid, NotFound

_FIRST_DIRECTORIES = ("/", "/bin", "/etc", "/home", "/root", "/run", "/srv", "/tmp", "/var", "/var/tmp")  # noqa: S108 - paths inside
_IS_DIRECTORY = 1 << 31  # as engines tell it, in the manner of Go's os.FileMode


class FileTree:
    """Files and directories by absolute path; what lies below a mount is another tree's."""

    __slots__ = ("directories", "files", "host_files", "mounts", "read_only")

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.directories: set[str] = set(_FIRST_DIRECTORIES)
        self.mounts: dict[str, FileTree] = {}
        self.read_only: set[str] = set()  # mounts that may only be read
        self.host_files: dict[str, str] = {}

    def copy(self) -> "FileTree":
        """A tree with the same files, without its mounts."""
        other = FileTree()
        other.files = dict(self.files)
        other.directories = set(self.directories)
        return other

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises `NotFound`."""
        tree, inner = self._at(path)
        if inner in tree.host_files:
            return Path(tree.host_files[inner]).read_bytes()
        try:
            return tree.files[inner]
        except KeyError:
            raise NotFound(f"There is no file {path} in the container; look at what is there first.") from None

    def write(self, path: str, data: bytes) -> None:
        """Make or replace a file and the directories above it. Raises `Invalid` where nothing may be written."""
        if any(_clean(path).startswith(f"{point}/") for point in self.read_only):
            raise Invalid(f"{path} lies on a volume that is mounted read-only.")
        tree, inner = self._at(path)
        tree.files[inner] = data
        tree._make_directories(posixpath.dirname(inner))

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory."""
        tree, inner = self._at(path)
        return inner in tree.directories

    def pack(self, path: str) -> tuple[PathStat, bytes]:
        """What lies at `path` and a tar of it. Raises `NotFound`."""
        path = _clean(path)
        out = io.BytesIO()
        base = posixpath.basename(path) or "/"
        with tarfile.open(fileobj=out, mode="w") as archive:
            if not self.is_directory(path):
                data = self.read(path)
                _add(archive, base, data)
                return PathStat(base, len(data), 0o644, "1970-01-01T00:00:00Z"), _finished(archive, out)
            tree, inner = self._at(path)
            _add(archive, base, None)
            below = inner.rstrip("/") + "/"
            for name in sorted(tree.directories | set(tree.files)):
                if name.startswith(below) and name != below:
                    _add(archive, f"{base}/{name[len(below) :]}", tree.files.get(name))
            return PathStat(base, 4096, _IS_DIRECTORY | 0o755, "1970-01-01T00:00:00Z"), _finished(archive, out)

    def unpack(self, path: str, data: bytes) -> None:
        """Put a tar's files below the directory `path`. Raises `NotFound`, `Invalid`."""
        path = _clean(path)
        if not self.is_directory(path):
            if self._at(path)[1] in self._at(path)[0].files:
                raise Invalid(f"{path} is no directory; give the directory that the archive is to be unpacked into.")
            raise NotFound(f"There is no directory {path} in the container; make it first or choose another.")
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
                for member in archive:
                    target = posixpath.join(path, posixpath.normpath("/" + member.name).lstrip("/"))
                    content = archive.extractfile(member) if member.isfile() else None
                    if content is not None:
                        self.write(target, content.read())
                    elif member.isdir():
                        tree, inner = self._at(target)
                        tree._make_directories(inner)
        except tarfile.TarError as error:
            raise Invalid("What was sent is no tar archive; send one that is not compressed.") from error

    def _at(self, path: str) -> tuple["FileTree", str]:
        path = _clean(path)
        for point in sorted(self.mounts, key=len, reverse=True):
            if path == point or path.startswith(point + "/"):
                return self.mounts[point], path[len(point) :] or "/"
        return self, path

    def _make_directories(self, path: str) -> None:
        while path not in self.directories:
            self.directories.add(path)
            path = posixpath.dirname(path)


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def _add(archive: tarfile.TarFile, name: str, data: bytes | None) -> None:
    member = tarfile.TarInfo(name)
    if data is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(member)
    else:
        member.size, member.mode = len(data), 0o644
        archive.addfile(member, io.BytesIO(data))


def _finished(archive: tarfile.TarFile, out: io.BytesIO) -> bytes:
    archive.close()
    return out.getvalue()
