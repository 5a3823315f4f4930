# SPDX-License-Identifier: Apache-2.0
"""A Docker engine of the tests' own, with the runtimes they need: in namespaces of its own, so that the machine's is left alone."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zun.base.ids import new_uuid

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
_CGROUPS = Path("/sys/fs/cgroup")
_SECONDS = 60
_BOOT = """
ip link set lo up
mount -t tmpfs tmpfs /run
dockerd --config-file "$1/daemon.json" --data-root "$1/data" --cgroup-parent "$2" --exec-opt native.cgroupdriver=cgroupfs \\
    --log-level warn >"$1/log" 2>&1 &
wait
"""


@dataclass(frozen=True)
class DockerMachine:
    """One that runs; `pid` is its first process, `group` the control group of its containers."""

    pid: int
    group: str

    @property
    def socket(self) -> Path:
        """Where the engine is reached from outside."""
        return Path(f"/proc/{self.pid}/root/run/docker.sock")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def get(self, path: str) -> Any:
        """What the engine answers."""
        connection = http.client.HTTPConnection("localhost", timeout=_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(_SECONDS)
        try:
            connection.sock.connect(str(self.socket))
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == http.HTTPStatus.OK, answer.read()
            return json.loads(answer.read())
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether the engine is there."""
        try:
            return bool(self.get("/version"))
        except (OSError, http.client.HTTPException):
            return False

    def load_images(self) -> None:
        """Have the local images."""
        inside = ["nsenter", "--mount", "--net", f"--target={self.pid}"]
        done = subprocess.run(
            [*inside, sys.executable, _SCRIPTS / "build-image"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def docker_machine(runtimes: dict[str, Any]) -> Iterator[DockerMachine]:
    """Run one while the block runs; `runtimes` as Docker's own configuration has them. Skips the test where it cannot."""
    programs = ("dockerd", "unshare", "nsenter", "ip")
    if os.geteuid() != 0 or not all(shutil.which(program) for program in programs):
        pytest.skip("needs root and Docker's programs: run scripts/ensure-docker")
    directory, group = Path(tempfile.mkdtemp(prefix="zun-docker-")), f"/zun-test-{new_uuid()}"
    (directory / "daemon.json").write_text(json.dumps({"runtimes": runtimes}))
    namespaces = ["--net", "--mount", "--pid", "--mount-proc", "--propagation", "slave", "--fork", "--kill-child"]
    boot = ["unshare", *namespaces, "bash", "-c", _BOOT, "machine", str(directory), group]
    outer = subprocess.Popen(boot, stdin=subprocess.DEVNULL)
    try:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        first = _until(lambda: children.read_text().split(), "its first process runs")[0]
        machine = DockerMachine(int(first), group)
        _until(machine.answers, "its engine answers")
        machine.load_images()
        yield machine
    finally:
        outer.kill()  # and with it all that runs in there
        outer.wait(_SECONDS)
        _until(lambda: _cleared(group), "nothing of it runs")
        shutil.rmtree(directory)


def _cleared(group: str) -> bool:
    """Whether its control groups could be removed: their last processes have ended then."""
    roots = [_CGROUPS, *(path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink())]
    try:
        for parent in (root / group.lstrip("/") for root in roots):
            for path in sorted((path for path in parent.rglob("*") if path.is_dir()), reverse=True):
                path.rmdir()
            if parent.is_dir():
                parent.rmdir()
    except OSError:
        return False
    return True


def _until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + _SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)
    return found
