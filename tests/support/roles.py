# SPDX-License-Identifier: Apache-2.0
"""The roles of `zund` as processes of their own over one real etcd: started, stopped, killed, frozen, asked."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from support import docker_engine
from support.etcd_cluster import EtcdCluster
from support.etcd_server import EtcdServer
from support.service import READY_SECONDS, STOP_SECONDS, ZUND, eventually

_LOG_TAIL = 4000
_NO_QUOTA = "[quota]\ncontainers = -1\nmemory = -1\ncpu = -1\ndisk = -1\n"


class Role:
    """One process of one role. Its files outlive it."""

    def __init__(self, role: str, name: str, state_dir: Path, settings: str, *arguments: str) -> None:
        """`settings` is its INI file; `arguments` come after the role on its command line. Set `environment` for more variables."""
        self.environment: dict[str, str] = {}
        self.role = role
        self.name = name
        self.state_dir = state_dir
        self.log = state_dir / f"{name}.log"
        self._settings = state_dir / f"{name}.ini"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_before = 0
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log.touch()
        self._settings.write_text(settings)

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        return self._running().pid

    @property
    def runs(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        self.begin()
        self._until(lambda: self.said().count(f"zund {self.role} is ready") > self._ready_before)

    def begin(self) -> None:
        """Start its process, and wait for nothing."""
        self._ready_before = self.said().count(f"zund {self.role} is ready")
        command = [ZUND, self.role, "--state-dir", self.state_dir, "--config", self._settings, *self._arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | self.environment
            )

    def until_it_says(self, words: str) -> None:
        """Wait until its log holds `words`; it may not end meanwhile."""
        self._until(lambda: words in self.said())

    def stop(self) -> int:
        """End it as an operator does; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power failure does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it do nothing, and know nothing of it, until `thaw`."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._running().send_signal(signal.SIGCONT)

    def ends(self) -> int:
        """Wait until it ends by itself; its exit code."""
        process, self._process = self._running(), None
        try:
            return process.wait(timeout=READY_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=STOP_SECONDS)
            raise AssertionError(f"{self.name} runs on:\n{self._tail()}") from None

    def said(self) -> str:
        """All it wrote to its log."""
        return self.log.read_text(errors="replace")

    def complaints(self) -> list[str]:
        """The lines of its log that are errors, or no lines of a log at all (a traceback)."""
        return [line for line in self.said().splitlines() if not re.match(r"\S+ \S+ (DEBUG|INFO|WARNING) ", line)]

    def close(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._end(signal.SIGTERM)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} does not run"
        return self._process

    def _end(self, number: int) -> int:
        process, self._process = self._running(), None
        process.send_signal(number)
        try:
            return process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=STOP_SECONDS)
            raise AssertionError(f"{self.name} did not end in {STOP_SECONDS} s:\n{self._tail()}") from None

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            assert self._running().poll() is None, f"{self.name} ended by itself:\n{self._tail()}"
            assert time.monotonic() < deadline, f"{self.name} was not ready in {READY_SECONDS} s:\n{self._tail()}"
            time.sleep(0.02)

    def _tail(self) -> str:
        return self.said()[-_LOG_TAIL:]


class Api(Role):
    """An API server with what a client needs of it."""

    @property
    def url(self) -> str:
        """Where it serves, since its last start."""
        found = re.findall(r"zund api is ready on ([\w.:/\[\]]+)", self.said())
        assert found, f"{self.name} has not said yet where it serves"
        return str(found[-1])

    def client(self, version: str = "1.40") -> httpx.Client:
        """An HTTP client with its administrator's token."""
        token = json.loads((self.state_dir / "local.json").read_text())["token"]
        headers = {"X-Auth-Token": token, "OpenStack-API-Version": f"container {version}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


class Cluster:
    """Processes that share one etcd and one secret of the control plane. The control plane's share a state directory, too."""

    def __init__(self, directory: Path, etcd: EtcdServer | EtcdCluster, stack: ExitStack) -> None:
        self.etcd = etcd
        self._options = etcd.client_options()
        self.endpoint = self._options.endpoints[0]
        self._directory = directory
        self._stack = stack

    def api(self, name: str, settings: str = "") -> Api:
        """An API server, not started yet, on a port that it is given at its start."""
        made = Api("api", name, self._directory / "control", self._with_store(settings), "--listen", "127.0.0.1:0")
        self._stack.callback(made.close)
        return made

    def controller(self, name: str, settings: str = "") -> Role:
        """A controller, not started yet."""
        return self._role("controller", name, self._directory / "control", settings)

    def compute(self, name: str, settings: str = "", *, runtime: str = "fake") -> Role:
        """A node, not started yet. Its watchdog is ended with the cluster, since it outlives the node's process; so are its containers."""
        state_dir = self._directory / name
        self._stack.callback(leave_nothing, state_dir, runtime)
        return self._role("compute", name, state_dir, settings, "--runtime", runtime, "--node-name", name)

    def _role(self, role: str, name: str, state_dir: Path, settings: str, *arguments: str) -> Role:
        made = Role(role, name, state_dir, self._with_store(settings), *arguments)
        self._stack.callback(made.close)
        return made

    def _with_store(self, settings: str) -> str:
        lines = ["[store]", "driver = etcd", f"endpoints = {','.join(self._options.endpoints)}"]
        lines += [
            f"{name} = {file}"
            for name in ("ca_file", "cert_file", "key_file")
            if (file := getattr(self._options, name))
        ]
        return "\n".join([*lines, f"{_NO_QUOTA}{settings}"])


def watchdog_pid(state_dir: Path) -> int:
    """The process that watches a node's state directory; 0 when none ever did."""
    lock = state_dir / "watchdog" / "lock"
    return int(lock.read_text() or 0) if lock.exists() else 0


def leave_nothing(state_dir: Path, runtime: str) -> None:
    """End the watchdog of a node that is no more, and remove the containers that it has in a real engine."""
    pid = watchdog_pid(state_dir)
    command = Path(f"/proc/{pid}/cmdline")
    if pid and command.exists() and str(state_dir) in command.read_text():
        os.kill(pid, signal.SIGKILL)
    identity = state_dir / "node.json"
    if runtime == "docker" and identity.exists():
        docker_engine.remove_owned(str(json.loads(identity.read_text())["owner"]))


@contextmanager
def cluster(directory: Path, *, etcd_runs: bool = True) -> Iterator[Cluster]:
    """A cluster without processes over an etcd of its own; all of it is ended when the block is left."""
    with ExitStack() as stack:
        data = directory / "etcd"
        data.mkdir()
        etcd = EtcdServer(data)
        if etcd_runs:
            etcd.start()
        stack.callback(etcd.kill)
        yield Cluster(directory, etcd, stack)


def create(client: httpx.Client, **fields: Any) -> str:
    """Have a container made that runs on; its uuid."""
    answer = client.post(
        "/v1/containers", params={"run": "true"}, json={"image": "alpine", "command": ["sleep", "100000"], **fields}
    )
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["uuid"])


def shown(client: httpx.Client, uuid: str) -> dict[str, Any]:
    """What is shown of a container now."""
    answer = client.get(f"/v1/containers/{uuid}")
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


def running(client: httpx.Client, uuid: str) -> dict[str, Any]:
    """What is shown of a container once it runs."""

    def seen() -> dict[str, Any] | None:
        found = shown(client, uuid)
        return found if found["status"] == "Running" else None

    return dict(eventually(seen, f"container {uuid} runs"))
