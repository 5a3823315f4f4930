# SPDX-License-Identifier: Apache-2.0
"""A real etcd for tests: one member on loopback ports of its own, its data in a directory that goes away."""

import http.client
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lab.ports import free_port
from zun.store.options import StoreOptions

START_SECONDS = 60.0


class EtcdServer:
    """One etcd process. Can be stopped and started again on the same ports and data."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._client_port, self._peer_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"127.0.0.1:{self._client_port}"
        self.data_dir = directory / "data"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None, "etcd does not run"
        return self._process.pid

    def client_options(self) -> StoreOptions:
        """How to connect."""
        return StoreOptions("etcd", (self.endpoint,))

    def start(self) -> None:
        """Start and wait until it is healthy."""
        client, peer = f"http://{self.endpoint}", f"http://127.0.0.1:{self._peer_port}"
        arguments = {
            "--name": "test",
            "--data-dir": str(self.data_dir),
            "--listen-client-urls": client,
            "--advertise-client-urls": client,
            "--listen-peer-urls": peer,
            "--initial-advertise-peer-urls": peer,
            "--initial-cluster": f"test={peer}",
            "--log-level": "error",
        }
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(shutil.which("etcd")), *(word for pair in arguments.items() for word in pair)],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"etcd did not start: {(self._directory / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it the hard way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def freeze(self) -> None:
        """Let it do nothing, while its connections stay, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._client_port, timeout=1)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().read().startswith(b'{"health":"true"')
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
