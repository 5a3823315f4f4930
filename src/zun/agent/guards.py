# SPDX-License-Identifier: Apache-2.0
"""What the agent tells the watchdog, and hears from it, through files (`zun.agent.watchdog` knows their form).

They matter within one life of the machine, so nothing here is synced to the disk.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from zun.agent import watchdog
from zun.agent.blocking import RunBlocking, in_thread, produced
from zun.model.errors import Unavailable

_log = logging.getLogger(__name__)
_START_SECONDS = 20.0


class Guards:
    """The files of one node. `boot`: this life of the machine."""

    def __init__(self, state_dir: Path, boot: str, *, run_blocking: RunBlocking = in_thread) -> None:
        self._directory = state_dir / watchdog.DIRECTORY
        self._boot = boot or "-"
        self._run_blocking = run_blocking
        self._lines: dict[str, str] = {}
        self._in_use = self._directory.exists()
        self._renewed: float | None = None

    def former(self) -> float | None:
        """When an earlier life of the agent was last in touch."""
        return watchdog.read_renewed(str(self._directory), self._boot)

    async def renewed(self, at: float) -> None:
        """The node was in touch at `at`. Should the disk not take it, the watchdog will know no better than to stop containers."""
        self._renewed = at
        if not self._in_use:
            return
        try:
            await self._run_blocking(lambda: self._write_renewed(at))
        except OSError as error:
            _log.error("the watchdog cannot be told that the node is in touch (%s); it may stop containers", error)

    async def tell(self, uuid: str, handle: str, pid: int, delay_seconds: float) -> None:
        """A container runs, or is about to (pid 0). Raises `Unavailable`: what the watchdog does not know must not be started."""
        line = watchdog.guarded_line(self._boot, handle, pid, watchdog.start_of(pid) if pid else 0, delay_seconds)
        if self._lines.get(uuid) == line:
            return
        renewed = self._renewed if not self._in_use else None

        def write() -> None:
            if renewed is not None:
                self._write_renewed(renewed)
            _replace(self._directory / watchdog.GUARDED / uuid, line)

        try:
            await self._run_blocking(write)
        except OSError as error:
            raise Unavailable(
                f"The node cannot tell its watchdog of the container: {error.strerror}. Make room on it or repair its disk."
            ) from error
        self._lines[uuid] = line
        self._in_use = True

    async def drop(self, uuid: str) -> None:
        """A container does not run any more, or is not guarded."""
        if self._lines.pop(uuid, None) is not None:
            await self._quietly(lambda: (self._directory / watchdog.GUARDED / uuid).unlink(missing_ok=True))

    async def was_killed(self, uuid: str, handle: str) -> bool:
        """Whether the watchdog stopped this object of a container."""
        if not self._in_use:
            return False
        path = self._directory / watchdog.KILLED / uuid
        try:
            return (await produced(self._run_blocking, path.read_text)).strip() == handle
        except FileNotFoundError:
            return False
        except OSError as error:
            _log.warning("what the watchdog did cannot be read: %s", error)
            return False

    async def forgive(self, uuid: str) -> None:
        """The container was started again, or is gone: what the watchdog did is history."""
        if self._in_use:
            await self._quietly(lambda: (self._directory / watchdog.KILLED / uuid).unlink(missing_ok=True))

    async def clean(self, known: set[str]) -> None:
        """Forget what earlier lives told of containers that are not there any more."""
        if self._in_use:
            await self._quietly(lambda: _clean(self._directory, known))

    def _write_renewed(self, at: float) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_in_place(self._directory / watchdog.RENEWED, watchdog.renewed_line(self._boot, at))

    async def _quietly(self, work: Callable[[], None]) -> None:
        try:
            await self._run_blocking(work)
        except OSError as error:
            _log.warning("the watchdog's files: %s", error)


def start_watchdog(state_dir: Path) -> None:
    """Start the watchdog of a state directory in a session of its own; one that runs already goes on, and this one ends at once.

    It outlives this process: that is what it is for. Raises `Unavailable`.
    """
    command = [sys.executable, "-I", "-S", str(watchdog.__file__), str(state_dir.absolute()), "--detach"]
    try:
        with (state_dir / "watchdog.log").open("ab") as log:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", check=True, timeout=_START_SECONDS
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"The watchdog cannot be started: {error}. Without it no container may be healed.") from error


def _write_in_place(path: Path, line: bytes) -> None:
    """Without growing the file, so that a full disk does not matter once it is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, line, 0)
    finally:
        os.close(descriptor)


def _replace(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.parent.with_name(f"{path.name}.new")
    temporary.write_text(line, encoding="ascii")
    temporary.replace(path)


def _clean(directory: Path, known: set[str]) -> None:
    for kind in (watchdog.GUARDED, watchdog.KILLED):
        if (directory / kind).exists():
            for path in (directory / kind).iterdir():
                if path.name not in known:
                    path.unlink(missing_ok=True)
