# SPDX-License-Identifier: Apache-2.0
"""The foreign clients at a terminal: run, attach and exec as one sits before them."""

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compat.clients import BIN
from compat.covering import covers
from support.stage import IMAGE, Stage

SHELLS = {"zun": [str(BIN / "zun")], "openstack": [str(BIN / "openstack"), "appcontainer"]}
EnvironmentOf = Callable[[str], dict[str, str]]


class Terminal:
    """A program at a pseudo-terminal."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.seen = b""

    def type(self, text: bytes) -> None:
        """As a person types."""
        os.write(self._descriptor, text)

    def until(self, wanted: bytes, seconds: float = 30) -> None:
        """Read on until it has printed this."""
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._descriptor], [], [], max(left, 0))
            assert ready, f"{wanted!r} was not printed, but {self.seen!r}"
            try:
                self.seen += os.read(self._descriptor, 65536)
            except OSError as ended:  # Linux tells thus that the other side is closed
                raise AssertionError(f"it ended without {wanted!r}: {self.seen!r}") from ended

    def until_raw(self, seconds: float = 30) -> None:
        """Wait until it has put the terminal into raw mode: what is typed before is thrown away by that."""
        deadline = time.monotonic() + seconds
        while termios.tcgetattr(self._descriptor)[3] & termios.ICANON:
            assert time.monotonic() < deadline, f"the terminal was not made raw: {self.seen!r}"
            time.sleep(0.01)

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(timeout=60)


@contextmanager
def terminal(words: list[str], environment: dict[str, str], directory: Path) -> Iterator[Terminal]:
    """Run a program at a terminal while the block runs."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        words, stdin=its, stdout=its, stderr=its, env=environment, cwd=directory, start_new_session=True
    )
    os.close(its)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait(timeout=60)
        os.close(ours)


@pytest.mark.parametrize("name", ["zun", "openstack"])
@covers("run")
def test_run_interactive_gives_a_terminal_in_the_container(
    name: str, environment_of: EnvironmentOf, stage: Stage, tmp_path: Path
) -> None:
    container = stage.name()
    words = [*SHELLS[name], "run", "--interactive", "--memory", "32", "--name", container, IMAGE, "sh"]
    with terminal(words, environment_of(name), tmp_path) as at:
        at.until(b"connected to")
        at.until_raw()
        at.type(b"\r")
        at.until(b"# ")
        at.type(b"echo $((6*7)); tty\r")
        at.until(b"42")
        at.until(b"/dev/")
        at.type(b"exit 0\r")
        at.ended()
    stage.until(container, "Stopped")


@pytest.mark.parametrize("name", ["zun", "openstack"])
@covers("attach")
def test_attach_talks_with_what_runs(name: str, environment_of: EnvironmentOf, stage: Stage, tmp_path: Path) -> None:
    container = stage.make(interactive=True, tty=True, command=["sh", "-c", "read a; echo got-$a; read b; echo and-$b"])
    with terminal([*SHELLS[name], "attach", container], environment_of(name), tmp_path) as at:
        at.until(b"connected to")
        at.until_raw()
        at.type(b"one\r")
        at.until(b"got-one")
        at.type(b"two\r")
        at.until(b"and-two")
        at.ended()
    stage.until(container, "Stopped")


@pytest.mark.parametrize("name", ["zun", "openstack"])
@covers("exec")
def test_exec_interactive_gives_a_terminal_beside_what_runs(
    name: str, environment_of: EnvironmentOf, stage: Stage, tmp_path: Path
) -> None:
    words = [*SHELLS[name], "exec", "--interactive", stage.shared(), "sh"]
    with terminal(words, environment_of(name), tmp_path) as at:
        at.until(b"connected to")
        at.until_raw()
        at.type(b"\r")
        at.until(b"# ")
        at.type(b"echo $((6*7))\r")
        at.until(b"42")
        at.type(b"exit\r")
        at.ended()
