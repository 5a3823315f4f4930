# SPDX-License-Identifier: Apache-2.0
"""Where the driver keeps what the engine does not keep for it: logs, volumes, a hosts file, and what each container was made from.

<state>/containers/<handle>/record.json   the request, as it is to be made again when it is started again
<state>/containers/<handle>/hosts         bound to /etc/hosts
<state>/containers/<handle>/volumes/<n>   what the image declares as volumes
<state>/containers/<handle>               of a capsule: empty, and there as long as anything of its sandboxes may be
<log_dir>/<handle>/log, log.1             written by the engine
<volume_dir>/<name>                       named volumes; they stay
"""

import shutil
import tempfile
from pathlib import Path

import msgspec

from zun.base.private_file import replace_private
from zun.drivers.runtime.cri.groups import Groups
from zun.drivers.runtime.types import ContainerRequest
from zun.model.errors import Internal, Unavailable

LOG = "log"
TURNED_LOG = "log.1"
_MIB = 1 << 20


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a container was made from, with what was found out when it was made. Times in nanoseconds since the epoch."""

    request: ContainerRequest
    image_id: str
    ports: tuple[int, ...] = ()
    image_volumes: tuple[str, ...] = ()
    network: str = ""
    created_at: int = 0


class Places:
    """The driver's directories on this machine. Blocking; what it does is small. Raises `Unavailable` when the disk does not take it."""

    def __init__(self, state_dir: Path, groups: Groups, *, log_dir: str = "", volume_dir: str = "") -> None:
        self.groups = groups
        self._containers = state_dir / "containers"
        self._logs = Path(log_dir) if log_dir else state_dir / "logs"
        self._volumes = Path(volume_dir) if volume_dir else state_dir / "volumes"
        self.pipes = state_dir / "pipes"
        self.mounts = state_dir / "mounts"

    def prepare(self) -> None:
        """Make what must be there, readable by nobody else; pipes of an earlier life go."""
        with _writing():
            shutil.rmtree(self.pipes, ignore_errors=True)
            for directory in (self._containers, self._logs, self._volumes, self.pipes, self.mounts):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def remember(self, handle: str, record: Record) -> None:
        """Write down what a container is made from, durably."""
        with _writing():
            replace_private(self._containers / handle / "record.json", msgspec.json.encode(record))
            (self._logs / handle).mkdir(mode=0o700, exist_ok=True)

    def expect(self, handle: str) -> None:
        """Something of a capsule's sandbox may be there from now on, until `forget`."""
        with _writing():
            (self._containers / handle).mkdir(mode=0o700, exist_ok=True)

    def record(self, handle: str) -> Record:
        """What a container was made from. Raises `Internal` when that was lost."""
        path = self._containers / handle / "record.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError) as error:
            raise Internal(
                f"{path}, which says what container {handle} was made from, is missing or damaged; rebuild the container."
            ) from error

    def hosts(self, handle: str) -> Path:
        """The container's /etc/hosts."""
        return self._containers / handle / "hosts"

    def write_hosts(self, handle: str, hostname: str, addresses: list[str]) -> None:
        """Write the hosts file, in place, for a container may have it bound."""
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
        lines += [f"{address}\t{hostname}" for address in addresses]
        with _writing():
            self.hosts(handle).write_text("\n".join(lines) + "\n")
            self.hosts(handle).chmod(0o644)

    def log_directory(self, handle: str) -> Path:
        """Where the engine writes its log."""
        return self._logs / handle

    def long_logs(self, log_mib: int) -> list[str]:
        """The handles whose current log file is longer than half of what may be kept, or is missing though there is an older one."""
        if not log_mib:
            return []
        found = []
        for directory in self._logs.iterdir():
            try:
                size = (directory / LOG).stat().st_size
            except FileNotFoundError:
                if (directory / TURNED_LOG).exists():
                    found.append(directory.name)
                continue
            if size > log_mib * _MIB // 2:
                found.append(directory.name)
        return found

    def turn_log(self, handle: str) -> None:
        """The current log file becomes the older one; what that held is gone. None is no error."""
        directory = self._logs / handle
        with _writing():
            if (directory / LOG).exists():
                (directory / LOG).replace(directory / TURNED_LOG)

    def volume(self, name: str) -> Path:
        """Where a named volume is, or is to be."""
        return self._volumes / name

    def image_volume(self, handle: str, number: int) -> Path:
        """Where the container's own volume number n is, or is to be."""
        return self._containers / handle / "volumes" / str(number)

    def make_volume(self, path: Path) -> None:
        """Have a volume there; a new one is marked as such until it is filled, also over a crash."""
        with _writing():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                _new_mark(path).touch()
                path.mkdir(exist_ok=True)
                path.chmod(0o755)

    def is_new_volume(self, path: Path) -> bool:
        """Whether it is still to be filled."""
        return _new_mark(path).exists()

    def volume_is_filled(self, path: Path) -> None:
        """It is new no more."""
        with _writing():
            _new_mark(path).unlink(missing_ok=True)

    def forget(self, handle: str) -> None:
        """Remove all that belongs to one container or capsule; none is no error. While processes of it are left, it stays known instead."""
        with _writing():
            if not self.groups.remove(handle):
                return
            for directory in (self._logs / handle, self._containers / handle):
                if directory.exists():
                    shutil.rmtree(directory)

    def new_mount(self) -> str:
        """An empty directory to mount something at."""
        with _writing():
            return tempfile.mkdtemp(dir=self.mounts)

    def drop_mount(self, path: str) -> None:
        """Remove such a directory."""
        with _writing():
            Path(path).rmdir()

    def known(self) -> set[str]:
        """The handles that have anything here."""
        found: set[str] = set()
        for parent in (self._containers, self._logs):
            if parent.exists():
                found |= {path.name for path in parent.iterdir()}
        return found


def _new_mark(volume: Path) -> Path:
    return volume.with_name(f".new-{volume.name}")


class _writing:  # noqa: N801 - reads as a word
    """Errors of the disk become ours."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise Unavailable(
                f"The node cannot keep what belongs to the container: {error.strerror}. Make room on it or repair its disk."
            ) from error
