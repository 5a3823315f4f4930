# SPDX-License-Identifier: Apache-2.0
"""One machine as seen from outside: switched on, given orders, frozen, and deprived of its power."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import control_groups
from lab.hosts import Host, LabError, hosts_file, tail
from lab.network import Network, connect
from lab.processes import Process, connect_unix, descendants, started_at, until

INIT = Path(__file__).with_name("machine_init.py")
DISKS = (
    "zun",
    "zun-node",
    "docker",
    "containerd",
    "etcd",
)  # each is /var/lib/<name> on the machine, and stays when it is switched off
_BOOT_SECONDS = 30
_ORDER_SECONDS = 10
_END_SECONDS = 60
_ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"}


class Machine:
    """A machine with the folder where its disks, logs and process id are kept."""

    def __init__(self, host: Host, directory: Path, network: Network) -> None:
        self.host = host
        self.name = host.name
        self.directory = directory / host.name
        self.network = network
        self._record = self.directory / "init.json"
        self._furnished = self.directory / "furnished"
        self._log_before: dict[str, int] = {}

    @property
    def pid(self) -> int:
        """Of its first process, on the host; 0 while it is off."""
        if not self._record.exists():
            return 0
        said = json.loads(self._record.read_text())
        return int(said["pid"]) if started_at(said["pid"]) == said["started"] else 0

    def disk(self, name: str) -> Path:
        """Where the machine's /var/lib/<name> lies on the host."""
        return self.directory / "disks" / name

    def path(self, inside: str) -> Path:
        """Where a path of the running machine can be reached from the host."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def log(self, process: str) -> Path:
        """What a process wrote."""
        return self.directory / "logs" / f"{process}.log"

    def write(self, place: str, text: str) -> None:
        """Put a file below the machine's /etc, before it is switched on."""
        path = self.directory / "changed-etc" / Path(place).relative_to("/etc")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def is_furnished(self) -> bool:
        """Whether its disks hold all that was put there before it was switched on for the first time."""
        return self._furnished.exists()

    def finish_furnishing(self) -> None:
        """Put on its disk what every machine has; the last thing to be put there."""
        self.write("/etc/hosts", hosts_file())
        self.write("/etc/hostname", f"{self.name}\n")
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        self._furnished.touch()

    def boot(self) -> None:
        """Switch it on, with no processes yet; a machine that is on stays as it is. Raises `LabError`."""
        if self.pid:
            return
        self.network.plug(self.host)
        specification = {
            "name": self.name,
            "directory": str(self.directory),
            "network": str(self.network.namespace(self.host)),
            "disks": {f"/var/lib/{disk}": str(self.disk(disk)) for disk in DISKS},
        }
        done = subprocess.run(
            [sys.executable, "-SEs", INIT, json.dumps(specification)],
            capture_output=True, text=True, timeout=_BOOT_SECONDS, check=False, env=_ENVIRONMENT,
        )  # fmt: skip
        if done.returncode != 0:
            raise LabError(f"{self.name} cannot be switched on: {done.stderr.strip()}")
        pid = int(done.stdout)
        self._record.write_text(json.dumps({"pid": pid, "started": started_at(pid)}))

    def power_off(self) -> None:
        """Take its power away: everything on it ends at once, and nobody is told. What is on its disks stays."""
        pid = self.pid
        self.network.silence(self.host)
        if pid:
            os.kill(pid, signal.SIGKILL)
            control_groups.thaw(self.network.prefix, self.name)
            if not until(lambda: not started_at(pid), _END_SECONDS):
                raise LabError(f"{self.name} (process {pid}) does not end; a process of it hangs in the kernel.")
        self._record.unlink(missing_ok=True)
        self.network.unplug(self.host)
        control_groups.remove(self.network.prefix, self.name)

    def freeze(self) -> None:
        """Stop every process on it, containers included, as when a virtual machine is paused."""
        seen: set[int] = set()
        while found := set(descendants(self._running())) - seen:  # again: one may have been born meanwhile
            for pid in found:
                _send(pid, signal.SIGSTOP)
            seen |= found

    def thaw(self) -> None:
        """Let everything on it go on."""
        for pid in descendants(self._running()):
            _send(pid, signal.SIGCONT)

    def status(self) -> dict[str, dict[str, Any]]:
        """What was started since it was switched on: process id on the machine, exit code of what has ended."""
        return self._order({"do": "status"}) if self.pid else {}

    def runs(self, process: str) -> bool:
        """Whether the process lives."""
        said = self.status().get(process)
        return said is not None and said["code"] is None

    def send(self, process: str, number: signal.Signals) -> None:
        """Send a signal to a process. Raises `LabError` when it does not run."""
        self._order({"do": "signal", "name": process, "number": int(number)})

    def start(self, process: Process) -> None:
        """Start a process and do not wait for it; one that runs is left alone."""
        if self.runs(process.name):
            return
        log = self.log(process.name)
        self._log_before[process.name] = log.stat().st_size if log.exists() else 0
        sockets = process.sockets()
        try:
            order = {
                "do": "start",
                "name": process.name,
                "argv": process.argv,
                "env": _ENVIRONMENT | process.environment,
                "log": str(log),
            }
            self._order(order, sockets)
        finally:
            for one in sockets:
                one.close()

    def wait_ready(self, process: Process) -> None:
        """Wait until it does its work. Raises `LabError` with its last words when it has ended or takes too long."""
        until(lambda: self.is_ready(process) or not self.runs(process.name), process.ready_seconds)
        if not self.is_ready(process):
            state = "is not ready" if self.runs(process.name) else "has ended"
            raise LabError(
                f"{self.name}/{process.name} {state}. Its last words, all of them in {self.log(process.name)}:\n"
                f"{tail(self.log(process.name))}"
            )

    def is_ready(self, process: Process) -> bool:
        with self.log(process.name).open("rb") as log:
            log.seek(self._log_before.get(process.name, 0))
            return process.says.encode() in log.read() and process.ready()

    def end(self, process: str, number: signal.Signals) -> None:
        """Send a signal that ends it, and wait for the end; one that does not run has ended already."""
        if not self.runs(process):
            return
        self.send(process, number)
        if not until(lambda: not self.runs(process), _END_SECONDS):
            raise LabError(f"{self.name}/{process} goes on {_END_SECONDS} s after {number.name}.")

    def run(self, *argv: str | Path, timeout: float = 120, **environment: str) -> str:
        """Run a command on the machine; gives what it printed. Raises `LabError` when it fails."""
        done = subprocess.run(
            [*self.entering(), *argv], capture_output=True, text=True, timeout=timeout, check=False,
            env=_ENVIRONMENT | environment,
        )  # fmt: skip
        if done.returncode != 0:
            said = "\n".join(text for one in (done.stderr, done.stdout) if (text := one.strip()))
            raise LabError(f"`{' '.join(map(str, argv))}` failed on {self.name}: {said}")
        return done.stdout

    def entering(self) -> list[str]:
        """Give the words to put before a command so that it runs on the machine."""
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid")
        return ["nsenter", "--target", str(self._running()), *spaces, "--wd=/", "--"]

    def connect(self, port: int, timeout: float, address: str = "") -> socket.socket:
        """Open a connection to a port, as a process on the machine would. Raises OSError."""
        return connect(self.network.namespace(self.host), (address or self.host.address, port), timeout)

    def _running(self) -> int:
        if not (pid := self.pid):
            raise LabError(f"{self.name} is switched off; switch it on: scripts/cluster start {self.name}")
        return pid

    def _order(self, order: dict[str, Any], sockets: Sequence[socket.socket] = ()) -> dict[str, Any]:
        self._running()
        folder = os.open(self.directory, os.O_PATH)
        try:
            with connect_unix(Path(f"/proc/self/fd/{folder}/init.sock"), _ORDER_SECONDS) as line:
                socket.send_fds(line, [json.dumps(order).encode() + b"\n"], [one.fileno() for one in sockets])
                text = b"".join(iter(lambda: line.recv(65536), b""))
        except OSError as error:
            raise LabError(f"{self.name} takes no orders: {error}") from error
        finally:
            os.close(folder)
        said: dict[str, Any] = json.loads(text or '{"error": "no answer; see init.log"}')
        if isinstance(said.get("error"), str):
            raise LabError(f"{self.name}: {said['error']}")
        return said


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself
