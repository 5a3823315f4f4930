# SPDX-License-Identifier: Apache-2.0
"""The cables: one namespace for each machine, one with a bridge as their switch, and rules in the switch that cut machines off.

Interfaces are made inside these namespaces, so the host's own network never shows any of it. A cut drops frames in the switch, silently and in
both directions: the machines keep their link and see nothing but silence, as with a broken network.
"""

import ctypes
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.hosts import PREFIX_LENGTH, Host, LabError

NAMESPACES = Path("/run/netns")
BRIDGE = "br0"
EVERYONE = "everyone"
_COMMAND_SECONDS = 30
_CLONE_NEWNET = 0x40000000


def command(*words: str) -> str:
    """Run one command; gives what it printed. Raises `LabError` with what it said when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(words)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Network:
    """The switch and the cables of one cluster; `prefix` tells its namespaces from those of others."""

    def __init__(self, prefix: str, directory: Path) -> None:
        self.prefix = prefix
        self._switch = f"{prefix}-switch"
        self._cuts_file = directory / "cuts.json"

    def namespace(self, host: Host) -> Path:
        """Give the file that stands for the machine's network namespace."""
        return NAMESPACES / f"{self.prefix}-{host.name}"

    def namespaces(self) -> list[str]:
        """Name the namespaces of this cluster that exist."""
        return sorted(path.name for path in NAMESPACES.glob(f"{self.prefix}-*"))

    def start_switch(self) -> None:
        """Have the switch; one that is there stays."""
        if (NAMESPACES / self._switch).exists():
            return
        command("ip", "netns", "add", self._switch)
        command("ip", "-n", self._switch, "link", "add", "name", BRIDGE, "type", "bridge")
        command("ip", "-n", self._switch, "link", "set", "dev", BRIDGE, "up")

    def remove_switch(self) -> None:
        """Remove the switch and with it every rule."""
        if (NAMESPACES / self._switch).exists():
            command("ip", "netns", "del", self._switch)

    def plug(self, host: Host) -> None:
        """Give the machine a network card of its own with its address, tied to the switch; whatever it had before is gone."""
        self.unplug(host)
        name = self.namespace(host).name
        command("ip", "netns", "add", name)
        command(
            *("ip", "-n", name, "link", "add", "name", "eth0", "type", "veth"),
            *("peer", "name", host.name, "netns", self._switch),
        )
        command("ip", "-n", name, "addr", "add", f"{host.address}/{PREFIX_LENGTH}", "dev", "eth0")
        for card in ("lo", "eth0"):
            command("ip", "-n", name, "link", "set", "dev", card, "up")
        command("ip", "-n", self._switch, "link", "set", "dev", host.name, "master", BRIDGE, "up")

    def silence(self, host: Host) -> None:
        """Let nothing out of the machine any more, not even the goodbyes of its dying connections; ends with `plug`."""
        if host.name in self._plugged():
            command("bridge", "-n", self._switch, "link", "set", "dev", host.name, "state", "0")

    def unplug(self, host: Host) -> None:
        """Remove the machine's network with all that still lives in it."""
        # The cable by its own name: the kernel takes its time with the namespace and what hangs on it.
        if host.name in self._plugged():
            command("ip", "-n", self._switch, "link", "del", "dev", host.name)
        if self.namespace(host).exists():
            command("ip", "netns", "del", self.namespace(host).name)

    def _plugged(self) -> set[str]:
        """The machines that hang on the switch."""
        if not (NAMESPACES / self._switch).exists():
            return set()
        return {str(link["ifname"]) for link in json.loads(command("ip", "-n", self._switch, "-json", "link", "show"))}

    def cuts(self) -> list[tuple[str, str]]:
        """Give who is cut off from whom; `everyone` for a machine that reaches nobody."""
        if not self._cuts_file.exists():
            return []
        return [(one, other) for one, other in json.loads(self._cuts_file.read_text())]

    def cut(self, host: Host, other: Host | None = None) -> None:
        """Drop every frame between the machine and another one, or all others."""
        pair = (host.name, other.name if other else EVERYONE)
        if pair not in self.cuts():
            self._cuts_file.write_text(json.dumps([*self.cuts(), pair]))
            self._rules("-A", *pair)

    def heal(self, host: Host | None = None) -> None:
        """Take back every cut that concerns the machine, or all there are."""
        for pair in self.cuts():
            if host is None or host.name in pair:
                self._rules("-D", *pair)
                self._cuts_file.write_text(json.dumps([cut for cut in self.cuts() if cut != pair]))

    def _rules(self, verb: str, one: str, other: str) -> None:
        ways = [["-i", one], ["-o", one]] if other == EVERYONE else [["-i", one, "-o", other], ["-i", other, "-o", one]]
        for way in ways:
            command("ip", "netns", "exec", self._switch, "ebtables", verb, "FORWARD", *way, "-j", "DROP")


@contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """Sockets that this thread makes within the block belong to that network. Raises `LabError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(namespace, os.O_RDONLY)
        try:
            _enter(libc, there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(libc, here)
    finally:
        os.close(here)


def connect(namespace: Path, address: tuple[str, int], timeout: float) -> socket.socket:
    """Open a TCP connection as a process in that network would. Raises OSError, `LabError`."""
    with inside(namespace):
        made = socket.socket()
    try:
        made.settimeout(timeout)
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise LabError(f"A network namespace cannot be entered: {os.strerror(ctypes.get_errno())}")
