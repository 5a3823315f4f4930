# SPDX-License-Identifier: Apache-2.0
"""A machine for tests of networks: a namespace in place of the host's network, with the daemon in it, sandboxes, and an outside.

Nothing of this machine's own network is touched. Sockets of the test's own process are opened inside any of the namespaces.
"""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from zun.base.ids import new_uuid
from zun.cni.namespaces import inside
from zun.drivers.network.cni.spool import Spool
from zun.model.attachments import Attachment, Dns, InterfaceAddress, SandboxNetwork, sandbox_key

T = TypeVar("T")
ZUND = str(Path(sys.executable).with_name("zund"))
SECONDS = 30.0
OUTSIDE, UPLINK = "192.0.2.1", "192.0.2.2"
OUTSIDE6, UPLINK6 = "2001:db8:ff::1", "2001:db8:ff::2"
_numbers = itertools.count(1)


def run(*command: str, **options: Any) -> str:
    """Run a program that must succeed; what it says."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Namespace:
    """A network namespace with a name of its own, gone when it is closed."""

    def __init__(self, purpose: str) -> None:
        self.name = f"znt{os.getpid()}-{next(_numbers)}-{purpose}"
        self.path = f"/run/netns/{self.name}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def close(self) -> None:
        """Remove it with all that is in it."""
        if Path(self.path).exists():
            run("ip", "netns", "del", self.name)

    def ip(self, *arguments: str) -> Any:
        """Run `ip` inside; its answer, from JSON where it gives any."""
        told = run("ip", "-n", self.name, "-json", *arguments)
        return json.loads(told) if told.strip() else None

    def command(self, *command: str) -> list[str]:
        """A command line that runs inside."""
        return ["nsenter", f"--net={self.path}", *command]

    def run(self, *command: str, **options: Any) -> str:
        """Run a program inside that must succeed."""
        return run(*self.command(*command), **options)

    def told(self, *command: str) -> str:
        """What a program says inside that may fail."""
        done = subprocess.run(self.command(*command), capture_output=True, text=True, timeout=SECONDS, check=False)
        return done.stdout

    def do(self, work: Callable[[], T]) -> T:
        """Do something inside, in a thread of the test's process."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            return inside(descriptor, work, SECONDS)
        finally:
            os.close(descriptor)

    def socket(self, kind: int, address: str, port: int = 0) -> socket.socket:
        """A socket of this process that lives inside, bound to an address there."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def opened() -> socket.socket:
            made = socket.socket(family, kind)
            made.settimeout(SECONDS)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address, port))
            return made

        return self.do(opened)

    def addresses(self) -> dict[str, set[str]]:
        """The addresses of each interface, without loopback and link-local ones."""
        return {
            link["ifname"]: {one["local"] for one in link["addr_info"] if one["scope"] == "global"}
            for link in self.ip("addr")
            if link["ifname"] != "lo"
        }


def network_attachment(number: int, host: int, *, ifname: str = "eth0", v6: bool = True, **fields: Any) -> Attachment:
    """An interface on network `number` (1 to 250), the `host`-th there, with an address of each version."""
    addresses = [InterfaceAddress(f"10.{number}.0.{host + 1}", 24, f"10.{number}.0.1")]
    if v6:
        addresses.append(InterfaceAddress(f"fd00:{number:x}::{host + 1:x}", 64, f"fd00:{number:x}::1"))
    mac = f"02:00:{number:02x}:00:00:{host + 1:02x}"
    return Attachment(network=f"net{number}", ifname=ifname, mac=mac, addresses=tuple(addresses), **fields)


@dataclass
class Answered:
    """What the executable did."""

    code: int
    told: dict[str, Any]
    seconds: float


class Sandbox:
    """A sandbox as an engine has it: a namespace and an id, known to the agent by a key."""

    def __init__(self, machine: "Machine", key: str) -> None:
        self.key = key
        self.container_id = f"c-{key[:8]}-{next(_numbers)}"
        self.namespace = Namespace("s")
        self._machine = machine

    def ask(self, command: str, **fields: Any) -> Answered:
        """Have the engine run zun-cni for it."""
        return self._machine.plugin(command, self, **fields)

    def add(self) -> dict[str, Any]:
        """Plug it in, which must succeed."""
        done = self.ask("ADD")
        assert done.code == 0, done.told
        return done.told

    def delete(self) -> None:
        """Plug it out, which must succeed."""
        done = self.ask("DEL")
        assert done.code == 0, done.told


class Machine:
    """The host's side: a namespace, the daemon's state and executable, and a namespace outside behind a cable."""

    def __init__(self, directory: Path, stack: ExitStack, settings: str = "", *, patience: float = 1.0) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.host = Namespace("host")
        stack.callback(self.host.close)
        self.outside = Namespace("out")
        stack.callback(self.outside.close)
        self._stack = stack
        self._settings = f"[cni]\nbin_dir = {directory / 'bin'}\nconf_dir = {directory / 'conf'}\n{settings}"
        self._process: subprocess.Popen[bytes] | None = None
        self._patience = patience
        self._sandboxes: list[Sandbox] = []
        self.log = directory / "daemon.log"
        self._cable()
        stack.callback(lambda: self.kill(signal.SIGTERM))

    @property
    def spool(self) -> Spool:
        """Where the agent writes what sandboxes are plugged into."""
        return Spool(self.state)

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        config = self.directory / "zun.conf"
        config.write_text(self._settings)
        before = self.said().count("zund cni-daemon is ready")
        command = self.host.command(ZUND, "cni-daemon", "--state-dir", str(self.state), "--config", str(config))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS
        while self.said().count("zund cni-daemon is ready") == before:
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        plugin = self.directory / "bin" / "zun-cni"
        plugin.write_text(plugin.read_text().replace("PATIENCE_SECONDS = 5.0", f"PATIENCE_SECONDS = {self._patience}"))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the daemon, as a crash does unless told otherwise."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=SECONDS)

    def signal(self, number: int) -> None:
        """Send the daemon a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def said(self) -> str:
        """The daemon's log."""
        return self.log.read_text() if self.log.exists() else ""

    def sandbox(self, *attachments: Attachment, key: str = "") -> Sandbox:
        """A sandbox that is prepared, and not plugged in yet."""
        made = Sandbox(self, key or sandbox_key(new_uuid(), 1))
        self._stack.callback(made.namespace.close)
        self._sandboxes.append(made)
        self.spool.write(SandboxNetwork(made.key, attachments, Dns(("192.0.2.53",), ("example.org",))))
        return made

    def plugged(self, *attachments: Attachment) -> Sandbox:
        """A sandbox that is plugged in."""
        made = self.sandbox(*attachments)
        made.add()
        return made

    def forget_sandboxes(self) -> None:
        """Plug out and end all there were so far."""
        for sandbox in self._sandboxes:
            sandbox.delete()
            sandbox.namespace.close()
            self.spool.remove(sandbox.key)
        self._sandboxes.clear()

    def plugin(
        self, command: str, sandbox: Sandbox, *, prefix: tuple[str, ...] = (), program: str = "", **fields: Any
    ) -> Answered:
        """Run the executable as an engine does. `fields` go into the configuration, those in capitals into the environment."""
        config = {"cniVersion": "1.0.0", "name": "zun", "type": "zun-cni"}
        config |= {name: value for name, value in fields.items() if not name.isupper()}
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": sandbox.container_id,
            "CNI_NETNS": sandbox.namespace.path,
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=zun;K8S_POD_NAME=p;K8S_POD_UID={sandbox.key}",
            "CNI_PATH": str(self.directory / "bin"),
        } | {name: value for name, value in fields.items() if name.isupper()}
        started = time.monotonic()
        done = subprocess.run(
            self.host.command(*prefix, program or str(self.directory / "bin" / "zun-cni")),
            input=json.dumps(config).encode(),
            env={name: value for name, value in environment.items() if value is not None},
            capture_output=True,
            timeout=2 * SECONDS,
            check=False,
        )
        assert not done.stderr, done.stderr.decode()
        told = json.loads(done.stdout) if done.stdout.strip() else {}
        return Answered(done.returncode, told, time.monotonic() - started)

    def left(self) -> list[str]:
        """What is left of sandboxes on the machine: links, elements of the filter, files."""
        found = [link["ifname"] for link in self.host.ip("link") if link["ifname"].startswith("zunv")]
        listing = self.host.run("nft", "list", "ruleset")
        found += re.findall(r"zunv\w+|10\.\d+\.0\.\d+|fd00:\w+::\w+", listing)
        found += [path.name for path in (self.state / "cni" / "bound").iterdir()]
        return found

    def _cable(self) -> None:
        self.host.ip("link", "add", "uplink", "type", "veth", "peer", "name", "eth0", "netns", self.outside.name)
        for namespace, link, own, other in (
            (self.host, "uplink", (UPLINK, UPLINK6), (OUTSIDE, OUTSIDE6)),
            (self.outside, "eth0", (OUTSIDE, OUTSIDE6), None),
        ):
            namespace.ip("addr", "add", f"{own[0]}/24", "dev", link)
            namespace.ip("addr", "add", f"{own[1]}/64", "dev", link, "nodad")
            namespace.ip("link", "set", link, "up")
            if other is not None:
                namespace.ip("route", "add", "default", "via", other[0])
                namespace.ip("-6", "route", "add", "default", "via", other[1])


@contextmanager
def machine(directory: Path, settings: str = "", **options: Any) -> Iterator[Machine]:
    """A machine with its daemon running; all of it is gone after the block."""
    with ExitStack() as stack:
        made = Machine(directory, stack, settings, **options)
        made.start()
        yield made


@contextmanager
def echoing(listening: socket.socket) -> Iterator[None]:
    """Answer each connection with where it came from, while the block runs."""

    def serve() -> None:
        while True:
            try:
                connection, peer = listening.accept()
            except OSError:
                return
            with connection:
                connection.sendall(peer[0].encode())

    listening.listen(16)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(SECONDS)


def reach(origin: Namespace, address: str, port: int, seconds: float = 5.0) -> str | None:
    """Connect from a namespace; what the server says, which is where it saw us, or None when it is out of reach."""
    with origin.socket(socket.SOCK_STREAM, "::" if ":" in address else "0.0.0.0") as made:
        made.settimeout(seconds)
        try:
            made.connect((address, port))
            return made.recv(100).decode()
        except OSError:
            return None
