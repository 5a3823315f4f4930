# SPDX-License-Identifier: Apache-2.0
"""A whole `zund` in a process of its own, on a free loopback port and a state directory of its own: started, asked, killed, restarted."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from lab.ports import free_port
from support import docker_engine
from zun.drivers.identity.static import tokens

ZUND = Path(sys.executable).with_name("zund")
READY_SECONDS = 60
STOP_SECONDS = 20
_LOG_TAIL = 4000


class Service:
    """One installation: its state outlives its process. With `keystone`, tokens are its, and the service has none of its own."""

    def __init__(
        self,
        state_dir: Path,
        *,
        runtime: str = "fake",
        settings: str = "",
        store: str = "sqlite",
        keystone: bool = False,
    ) -> None:
        self.state_dir = state_dir
        self.runtime = runtime
        self.store = store
        self.log = state_dir / "zund.log"
        self._settings = state_dir / "zun.ini"
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._settings.write_text(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._keystone = keystone
        self._port = free_port() if keystone else 0
        self.url = f"http://127.0.0.1:{self._port}" if keystone else ""
        self.token = ""
        self.project = ""

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None, "the service does not run"
        return self._process.pid

    @property
    def owner(self) -> str:
        """What its containers carry as `io.zun.owner` in the engine."""
        return str(json.loads((self.state_dir / "node.json").read_text())["owner"])

    def start(self) -> None:
        """Start it and wait until it serves; a restart listens where it listened before."""
        access = self.state_dir / "local.json"
        if self._keystone:
            self.begin()
            self._until(self._healthy)
            return
        if self._port == 0:
            access.unlink(missing_ok=True)
        self.begin()
        self._until(access.exists)
        said = json.loads(access.read_text())
        self.url, self.token, self.project = said["url"], said["token"], said["project_id"]
        self._port = int(self.url.rpartition(":")[2])
        self._until(self._healthy)

    def begin(self) -> None:
        """Start its process, and wait for nothing."""
        command = [ZUND, "all", "--state-dir", self.state_dir, "--listen", f"127.0.0.1:{self._port}"]
        command += ["--runtime", self.runtime, "--store", self.store, "--config", self._settings]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def come_back(self, pause: float, seconds: float = 120) -> int:
        """Start it again as systemd does: after a pause, and after another whenever it ends before it serves. How often it did."""
        deadline = time.monotonic() + seconds
        for ended in itertools.count():
            time.sleep(pause)
            self.begin()
            while self.runs:
                if self._healthy():
                    return ended
                assert time.monotonic() < deadline, f"zund does not serve after {seconds} s:\n{self.said()}"
                time.sleep(0.05)
            assert time.monotonic() < deadline, f"zund ends again and again:\n{self.said()}"
        raise AssertionError("counting has no end")

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def give_time(self, seconds: float) -> None:
        """Let it run on its own for a while; it may not end by itself."""
        assert self._process is not None, "the service does not run"
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"zund ended by itself:\n{self.said()}")

    def stop(self) -> int:
        """End it as an operator does; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power failure does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def client(self, token: str | None = None, version: str = "1.40") -> httpx.Client:
        """An HTTP client with a token (its administrator's unless another is given) and a microversion."""
        headers = {"X-Auth-Token": token or self.token, "OpenStack-API-Version": f"container {version}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def user(self, name: str, project: str, *roles: str) -> str:
        """Make a user; gives the token."""
        command = [ZUND, "user", "add", name, "--project", project, "--state-dir", self.state_dir]
        for role in roles:
            command += ["--role", role]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()

    def let_in(self, name: str, project: str, *roles: str) -> str:
        """Make a user with these roles alone, or none, which the command line does not; gives the token, which works already."""
        token = tokens.add_user(self.state_dir / "tokens.json", name, project=project, roles=roles)
        with self.client(token) as client:
            eventually(lambda: client.get("/v1/containers").status_code != httpx.codes.UNAUTHORIZED, "the token counts")
        return token

    def memory_bytes(self) -> int:
        """What the process holds in memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_memory_bytes(self) -> int:
        """The most it has held since it started, or since `forget_peak`."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def forget_peak(self) -> None:
        """Measure the peak from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def said(self) -> str:
        """The end of what it wrote to its log."""
        return self.log.read_text(errors="replace")[-_LOG_TAIL:]

    def close(self) -> None:
        """End it, and leave nothing of it in the engine."""
        if self._process is not None:
            self._end(signal.SIGTERM)
        if self.runtime == "docker" and (self.state_dir / "node.json").exists():
            docker_engine.remove_owned(self.owner)

    def _end(self, number: int) -> int:
        assert self._process is not None, "the service does not run"
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            return process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=STOP_SECONDS)
            raise AssertionError(f"zund did not end in {STOP_SECONDS} s:\n{self.said()}") from None

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthcheck", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            assert self._process is not None
            assert self._process.poll() is None, f"zund ended by itself:\n{self.said()}"
            assert time.monotonic() < deadline, f"zund was not ready in {READY_SECONDS} s:\n{self.said()}"
            time.sleep(0.02)


@contextmanager
def service(state_dir: Path, **options: Any) -> Iterator[Service]:
    """A service that runs as long as the block, and is cleared away afterwards."""
    running = Service(state_dir, **options)
    try:
        running.start()
        yield running
    finally:
        running.close()


def eventually(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Ask until there is an answer that is true, which is given back; what happens lies in another process."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.03)
    return found
