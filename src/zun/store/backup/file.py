# SPDX-License-Identifier: Apache-2.0
"""The file of a backup: compressed lines of JSON. The first says what it is, one follows for each key, the last how many and their sum.

A file that ends early, or of which one bit is not as written, is damaged; nothing of it is believed.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import msgspec

from zun.model.errors import Conflict, Invalid, NotFound, Unavailable, Unsupported
from zun.store import keys

FORMAT = 1
"""What this version writes, and the newest that it reads."""

_MAX_LINE_BYTES = 8 * 1024 * 1024  # a value of 1.5 MiB, which is a third longer in base64, and its key
_LEVEL = 6


class Header(msgspec.Struct, frozen=True, tag="backup", tag_field="is"):
    """The first line. `revision` of which store (`driver`, `store_id`) it is; `needs` as in the store's schema; `master_key` names the key
    that secrets in it are encrypted with, "" when that is not known. `made_at` in seconds since the epoch, `by` a version of Zun."""

    format: int
    made_at: float
    by: str
    driver: str
    revision: int
    needs: int
    store_id: str = ""
    master_key: str = ""


class Record(msgspec.Struct, frozen=True, tag="record", tag_field="is"):
    """One key and its value."""

    key: str
    value: bytes


class _End(msgspec.Struct, frozen=True, tag="end", tag_field="is"):
    """The last line: how many records, and the SHA-256 of all lines before it."""

    records: int
    sha256: str


class BackupWriter:
    """Writes one backup; see `new_backup`."""

    def __init__(self, out: gzip.GzipFile) -> None:
        self._out = out
        self._sum = hashlib.sha256()
        self._encoder = msgspec.json.Encoder()
        self.records = 0

    def begin(self, header: Header) -> None:
        """The first line."""
        self._line(self._encoder.encode(header))

    def add(self, record: Record) -> None:
        """A key; each comes once."""
        self._line(self._encoder.encode(record))
        self.records += 1

    def end(self) -> None:
        """The last line, without which the file is damaged."""
        self._out.write(self._encoder.encode(_End(self.records, self._sum.hexdigest())) + b"\n")

    def _line(self, line: bytes) -> None:
        self._sum.update(line)
        self._out.write(line + b"\n")


@contextmanager
def new_backup(path: Path) -> Iterator[BackupWriter]:
    """A new file (mode 0600), which has its name once it is whole and on disk. Raises `Conflict` when there is one of that name,
    `Unavailable` when the disk does not take it; then nothing is left behind.
    """
    if path.exists():
        raise Conflict(f"{path} exists already; give the backup another name, or move that one away.")
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with ExitStack() as stack:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            stack.callback(draft.unlink, missing_ok=True)
            raw = stack.enter_context(os.fdopen(descriptor, "wb"))
            with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw) as packed:
                yield BackupWriter(packed)
            raw.flush()
            os.fsync(raw.fileno())
            os.link(draft, path)
        _sync_directory(path.parent)
    except FileExistsError as error:
        raise Conflict(f"{error.filename2 or error.filename} exists already; give the backup another name.") from error
    except OSError as error:
        raise Unavailable(
            f"The backup {path} cannot be written ({error.strerror or error}); make room, or name another place."
        ) from error


class BackupReader:
    """Reads one backup. The file stays open: what was found good is what is read afterwards."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        """Use `open_backup`."""
        self._path = path
        self._file = file
        self.header = self._header()

    def check(self) -> int:
        """Read all of it; how many records it has. Raises `Invalid` when it is damaged."""
        return sum(1 for _ in self.records())

    def records(self) -> Iterator[Record]:
        """The records; the last comes only if all were as they were written. Raises `Invalid` when the file is damaged."""
        held: Record | None = None
        for record in self._checked():
            if held is not None:
                yield held
            held = record
        if held is not None:
            yield held

    def _checked(self) -> Iterator[Record]:
        total = hashlib.sha256()
        count = 0
        decoder = msgspec.json.Decoder(Header | Record | _End)
        for number, line in enumerate(self._lines()):
            try:
                found = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise self._damaged(f"line {number + 1} cannot be read") from error
            match found:
                case Header() if number == 0:
                    pass
                case Record() if number > 0:
                    if not found.key.startswith(keys.ROOT):
                        raise self._damaged(f"line {number + 1} holds a key of somebody else")
                    count += 1
                    yield found
                case _End() if (found.records, found.sha256) == (count, total.hexdigest()):
                    return
                case _End():
                    raise self._damaged("its sum is another one")
                case _:
                    raise self._damaged(f"line {number + 1} does not belong there")
            total.update(line)
        raise self._damaged("its end is missing")

    def _header(self) -> Header:
        line = next(self._lines(), b"")
        try:
            version = msgspec.json.decode(line, type=_AnyHeader)
            if version.format > FORMAT:
                raise Unsupported(
                    f"{self._path} was made by a newer Zun ({version.by}): its format is {version.format}, this version reads {FORMAT}. "
                    "Upgrade Zun on this machine."
                )
            return msgspec.json.decode(line, type=Header)
        except msgspec.DecodeError as error:
            raise self._damaged("it does not begin like a backup") from error

    def _lines(self) -> Iterator[bytes]:
        try:
            self._file.seek(0)
            with gzip.GzipFile(mode="rb", fileobj=self._file) as packed:
                while line := packed.readline(_MAX_LINE_BYTES):
                    if not line.endswith(b"\n"):
                        raise self._damaged("a line does not end")
                    yield line[:-1]
        except (OSError, EOFError, zlib.error) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> Invalid:
        return Invalid(f"{self._path} is damaged or no backup of Zun: {why}. Nothing of it was used; take another one.")


class _AnyHeader(msgspec.Struct):
    """What every version's first line says."""

    format: int
    by: str = "of an unknown version"


@contextmanager
def open_backup(path: Path) -> Iterator[BackupReader]:
    """A backup to be read. Raises `NotFound`, `Unsupported` when a newer version made it, `Invalid` when it does not begin like one."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotFound(f"{path} cannot be read ({error.strerror}); name a backup that can.") from error
    with file:
        yield BackupReader(path, file)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
