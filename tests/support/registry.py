# SPDX-License-Identifier: Apache-2.0
"""An image registry of the tests' own, on loopback: the same images once for everybody and once behind a password."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.ports import free_port

USERNAME = "alice"
PASSWORD = "right horse"
_READY_SECONDS = 20


@dataclass(frozen=True)
class Registry:
    """Where it listens."""

    open: str  # host:port
    private: str  # host:port, asks for USERNAME and PASSWORD


@contextmanager
def registry(directory: Path) -> Iterator[Registry]:
    """Run it while the block runs. Skips the test where the programs are missing and says how to get them."""
    if not (shutil.which("docker-registry") and shutil.which("htpasswd")):
        pytest.skip("needs docker-registry and htpasswd: run scripts/ensure-registry")
    passwords = directory / "htpasswd"
    hashed = subprocess.run(["htpasswd", "-Bbn", USERNAME, PASSWORD], check=True, capture_output=True, timeout=30)
    passwords.write_bytes(hashed.stdout)
    auth = f"auth:\n  htpasswd:\n    realm: test\n    path: {passwords}\n"
    with _serve(directory, "open", "") as first, _serve(directory, "private", auth) as second:
        yield Registry(first, second)


@contextmanager
def _serve(directory: Path, name: str, auth: str) -> Iterator[str]:
    port = free_port()
    config = directory / f"{name}.yml"
    config.write_text(
        f"version: 0.1\nlog:\n  accesslog:\n    disabled: true\n  level: error\nstorage:\n  delete:\n    enabled: true\n"
        f"  filesystem:\n    rootdirectory: {directory / 'images'}\nhttp:\n  addr: 127.0.0.1:{port}\n{auth}"
    )
    with (directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait_until_ready(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the registry ended at once; another process may have taken its port"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the registry did not begin to listen")
