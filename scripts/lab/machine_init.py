# SPDX-License-Identifier: Apache-2.0
"""The first process of a machine: makes its namespaces and mounts, then starts, signals and reaps what it is told to.

It is process 1 of a process namespace, so killing it kills everything on the machine at once, as a power failure does. Orders are one JSON
object on a line, over the Unix socket `init.sock` in the machine's directory, one connection each:

    {"do": "start", "name": …, "argv": […], "env": {…}, "log": …}    start a process; file descriptors sent along become 100, 101, …
    {"do": "signal", "name": …, "number": …}                         send a signal to it
    {"do": "status"}                                                 name → process id in here, exit code once it has ended

Run as `machine_init.py SPECIFICATION` (JSON: name, directory, network, disks); prints the process id on the host and goes to the background. It knows
nothing of the other modules here, to stay small.
"""

import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

FIRST_DESCRIPTOR = 100
_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWPID, _CLONE_NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000,
)  # fmt: skip
_ORDER_SECONDS = 5
_ORDER_BYTES = 1 << 20
_MOST_DESCRIPTORS = 4


def checked(result: int, what: str) -> None:
    """Raise OSError when a call of the C library failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(*words: str) -> None:
    """Mount as the command does, and be quiet about it."""
    subprocess.run(["mount", *words], check=True, timeout=10)


def make_namespaces(network: str) -> None:
    """Enter the machine's network; what is forked from now on also has its own mounts, name and process ids."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(network, os.O_RDONLY)
    checked(libc.setns(descriptor, _CLONE_NEWNET), f"entering the network {network}")
    os.close(descriptor)
    checked(libc.unshare(_CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWPID), "making namespaces")


def furnish(directory: Path, disks: dict[str, str]) -> None:
    """Give the machine its own /run, /etc and /var/lib, and the disks that outlive it, without leaving a trace on the host."""
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    for place in ("/etc", "/var/lib"):
        upper, work = (directory / f"{kind}{place.replace('/', '-')}" for kind in ("changed", "work"))
        upper.mkdir(exist_ok=True)
        work.mkdir(exist_ok=True)
        mount("-t", "overlay", "overlay", place, "-o", f"lowerdir={place},upperdir={upper},workdir={work}")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    Path("/run/lock").mkdir()
    show_own_network_in_sys()
    begin_anew()
    for place, disk in disks.items():
        Path(disk).mkdir(parents=True, exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)
        mount("--bind", disk, place)


def begin_anew() -> None:
    """Have an id for this start of the machine, as a kernel of its own would."""
    number = Path("/run/boot_id")
    number.write_text(f"{uuid.uuid4()}\n")
    mount("--bind", str(number), "/proc/sys/kernel/random/boot_id")


def show_own_network_in_sys() -> None:
    """Mount /sys anew, for it shows the network it was mounted in; the control groups below it are the host's."""
    groups = Path("/run/groups")
    groups.mkdir()
    mount("--rbind", "/sys/fs/cgroup", str(groups))
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("--rbind", str(groups), "/sys/fs/cgroup")
    subprocess.run(["umount", "--recursive", str(groups)], check=True, timeout=10)
    groups.rmdir()


class Init:
    """What runs here, by name; a name is taken again once its process has ended."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def obey(self, order: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Carry out one order; gives the answer."""
        if order["do"] == "start":
            return self._start(order, descriptors)
        if order["do"] == "signal":
            process = self._processes.get(order["name"])
            if process is None or process.returncode is not None:
                return {"error": f"{order['name']} does not run"}
            os.kill(process.pid, order["number"])
            return {"pid": process.pid}
        return {name: {"pid": made.pid, "code": made.returncode} for name, made in self._processes.items()}

    def reap(self) -> None:
        """Note the end of what has ended, orphans of others included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for process in self._processes.values():
                if process.pid == pid and process.returncode is None:
                    process.returncode = os.waitstatus_to_exitcode(status)

    def _start(self, order: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        old = self._processes.get(order["name"])
        if old is not None and old.returncode is None:
            return {"error": f"{order['name']} runs already"}
        numbers = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + len(descriptors))
        for descriptor, number in zip(descriptors, numbers, strict=True):
            os.dup2(descriptor, number)
        try:
            with Path(order["log"]).open("ab") as log:
                made = subprocess.Popen(
                    order["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=order["env"],
                    cwd="/", start_new_session=True, pass_fds=numbers,
                )  # fmt: skip
        except OSError as error:
            return {"error": f"{order['name']} cannot be started: {error}"}
        finally:
            for number in numbers:
                os.close(number)
        self._processes[order["name"]] = made
        return {"pid": made.pid}


def answer(connection: socket.socket, init: Init) -> None:
    """Read one order and say what came of it; a client that talks nonsense or leaves is no reason to end the machine."""
    connection.settimeout(_ORDER_SECONDS)
    descriptors: list[int] = []
    try:
        text, descriptors, _, _ = socket.recv_fds(connection, _ORDER_BYTES, _MOST_DESCRIPTORS)
        while not text.endswith(b"\n"):
            more = connection.recv(_ORDER_BYTES)
            if not more:
                return
            text += more
        init.reap()
        connection.sendall(json.dumps(init.obey(json.loads(text), descriptors)).encode())
    except (OSError, ValueError, KeyError) as error:
        print(f"an order could not be carried out: {error!r}", flush=True)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def serve(listener: socket.socket) -> None:
    """Live as process 1."""
    init = Init()
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    with connection:
                        answer(connection, init)
                else:
                    os.read(woken, 4096)
            init.reap()


def live(specification: dict[str, Any], ready: int) -> None:
    """Furnish the machine, tell `ready` that it is up, and serve for ever."""
    directory = Path(specification["directory"])
    os.setsid()
    os.chdir(directory)
    furnish(directory, specification["disks"])
    socket.sethostname(specification["name"])
    Path("init.sock").unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("init.sock")  # by its short name: the whole path may be longer than a socket's may be
    listener.listen(16)
    with Path("init.log").open("ab") as log, Path("/dev/null").open("rb") as nothing:
        for stream, number in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(stream.fileno(), number)
    os.write(ready, b"1")
    os.close(ready)
    serve(listener)


def main() -> None:
    specification = json.loads(sys.argv[1])
    make_namespaces(specification["network"])
    told, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        live(specification, ready)
    os.close(ready)
    if os.read(told, 1) != b"1":
        os.waitpid(pid, 0)
        sys.exit(f"{specification['name']} could not be booted")
    print(pid)


if __name__ == "__main__":
    main()
