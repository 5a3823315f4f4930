# SPDX-License-Identifier: Apache-2.0
"""zunctl for tests: in this process against scripted answers, as a process against a running service, or at a terminal."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from zun.cli.access import Access
from zun.cli.client import Client
from zun.cli.main import main

PATIENCE_SECONDS = 60.0
_ZUND = (sys.executable, "-c", "import sys; from zun.main import main; sys.exit(main())")
Answer = Callable[[httpx.Request], httpx.Response]


def scripted(answer: Answer, *, debug: bool = False, url: str = "http://service") -> Client:
    """A client whose requests `answer` gets."""
    access = Access(url, "a-secret-token", "p1", "a test")
    return Client(access, debug=debug, transport=httpx.MockTransport(answer))


def run_here(answer: Answer, *arguments: str, debug: bool = False) -> int:
    """zunctl in this process; what it prints goes to the captured streams."""
    return main(list(arguments), client=scripted(answer, debug=debug))


def refusal(status: int, detail: str) -> httpx.Response:
    """An error as the service words it."""
    return httpx.Response(status, json={"errors": [{"status": status, "title": detail, "detail": detail}]})


@dataclass(frozen=True)
class Finished:
    """What a run left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Service:
    """A running service; `run` is zunctl against it."""

    state_dir: Path
    image: str
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Finished:
        """Run zunctl to its end."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            command(*arguments),
            env=self.env(),
            input=given or b"",
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Finished(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    @contextmanager
    def started(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Start zunctl and let it run; at the end it is killed if it still does."""
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command(*arguments), env=self.env(), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def env(self) -> dict[str, str]:
        """The environment for zunctl: nothing of ours but what points to the service."""
        foreign = ("OS_", "ZUN_", "COLUMNS", "LINES")  # xdist sets the width of its own terminal
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {"ZUN_STATE_DIR": str(self.state_dir)} | self.environment


def command(*arguments: str) -> list[str]:
    """zunctl as a process."""
    return [sys.executable, "-m", "zun.cli.main", *arguments]


@contextmanager
def running_service(state_dir: Path, runtime: str, image: str) -> Iterator[Service]:
    """`zund all` as a process on a port of its own, until the context ends."""
    arguments = ["--runtime", runtime, "--store", "memory", "--state-dir", str(state_dir), "--listen", "127.0.0.1:0"]
    with (state_dir / "log").open("wb") as log:
        process = subprocess.Popen([*_ZUND, "all", *arguments], stderr=log)
    try:
        wait_for(lambda: b"zund is ready" in (state_dir / "log").read_bytes() or process.poll() is not None)
        assert process.poll() is None, (state_dir / "log").read_text()
        yield Service(state_dir, image)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def wait_for(done: Callable[[], bool]) -> None:
    """Look again and again until it is so; an error after a minute."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def _take_terminal() -> None:
    """Make standard input the controlling terminal, so that its signals (a changed size) arrive."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A person at a terminal who runs zunctl."""

    def __init__(self, service: Service, *arguments: str, columns: int = 100, rows: int = 30) -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self.resize(columns, rows)
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs  # kept open, so that what was set on it can still be read at the end
        self.process = subprocess.Popen(
            command(*arguments),
            env=service.env(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - this process has one thread
        )
        self.seen = b""

    def resize(self, columns: int, rows: int) -> None:
        """Drag the window's corner."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def until(self, text: str) -> str:
        """Read until `text` has appeared (since the last call), and give what was read."""
        end = time.monotonic() + PATIENCE_SECONDS
        while text.encode() not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not appear in {self.seen!r}"
            self._read()
        place = self.seen.index(text.encode()) + len(text.encode())
        read, self.seen = self.seen[:place], self.seen[place:]
        return read.decode("utf-8", "replace")

    def ended(self) -> int:
        """Its exit code; what it still prints is in `seen`."""
        wait_for(lambda: self._read() or self.process.poll() is not None)
        self._read()
        return self.process.returncode

    def settings(self) -> list[object]:
        """The terminal's settings now."""
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        """Go away."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)
        os.close(self._fd)
        os.close(self._theirs)

    def _read(self) -> bool:
        readable, _, _ = select.select([self._fd], [], [], 0.05)
        if readable:
            self.seen += os.read(self._fd, 65536)
        return False
