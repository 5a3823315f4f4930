# SPDX-License-Identifier: Apache-2.0
"""A real Keystone for tests: on a loopback port of its own, with SQLite, its state a copy of one that was initialised once.

What it needs is made by scripts/setup-keystone-venv.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from lab.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".cache/keystone-venv/bin/python"
SCRIPTS = ROOT / "tests/keystone"
ADMIN_PASSWORD = "first-admin"
START_SECONDS = 60.0
_INITIALISE_SECONDS = 120.0

# bcrypt with the least work: tests log in often, and guess no passwords. One process: a cache in its memory never lies.
_CONFIGURATION = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{state}/keystone.db
sqlite_synchronous = false
[token]
provider = fernet
[fernet_tokens]
key_repository = {state}/fernet
[fernet_receipts]
key_repository = {state}/fernet
[credential]
key_repository = {state}/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
"""


class KeystoneServer:
    """One Keystone process. Can be stopped, frozen and started again on the same port and state."""

    def __init__(self, directory: Path) -> None:
        self._state = directory / "state"
        self._configuration = directory / "keystone.conf"
        self._log = directory / "keystone.log"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"
        shutil.copytree(_initialised(), self._state)
        self._configuration.write_text(_CONFIGURATION.format(state=self._state))

    def start(self) -> None:
        """Start and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, SCRIPTS / "serve.py", str(self._port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "OS_KEYSTONE_CONFIG_FILES": str(self._configuration)},
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, f"Keystone ended: {self.said()}"
            assert time.monotonic() < deadline, f"Keystone did not start: {self.said()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(timeout=START_SECONDS)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and says nothing, as long as the block runs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It is not there, as long as the block runs."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-3000:]

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v3", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def _initialised() -> Path:
    """The state to copy: made once for each version of Keystone, by whoever needs it first."""
    made_from = (SCRIPTS / "requirements.txt").read_bytes() + (SCRIPTS / "initialise.py").read_bytes()
    made_from += Path(__file__).read_bytes()
    place = ROOT / ".cache" / f"keystone-{hashlib.sha256(made_from).hexdigest()[:12]}"
    with (ROOT / ".cache/keystone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _initialise(place)
    return place


def _initialise(place: Path) -> None:
    making = place.with_name(f"{place.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    for old in place.parent.glob("keystone-?*"):
        if old.name != "keystone-venv" and old.is_dir():
            shutil.rmtree(old)
    making.mkdir(parents=True)
    configuration = making / "keystone.conf"
    configuration.write_text(_CONFIGURATION.format(state=making))
    done = subprocess.run(
        [PROGRAM, SCRIPTS / "initialise.py", configuration, ADMIN_PASSWORD],
        capture_output=True,
        text=True,
        timeout=_INITIALISE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    making.rename(place)
