# SPDX-License-Identifier: Apache-2.0
"""What a machine runs: how each process is started, and how one can tell that it is ready."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

POLL_SECONDS = 0.02
_ASK_SECONDS = 2.0
Found = TypeVar("Found")


@dataclass(frozen=True)
class Process:
    """One process of a machine.

    It does its work when `ready` says so, and when its log `says` so since it was started. `sockets` are opened on the host and handed to it
    as 100, 101, ….
    """

    name: str
    argv: list[str]
    ready: Callable[[], bool] = lambda: True
    says: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    sockets: Callable[[], list[socket.socket]] = list
    ready_seconds: float = 60.0


def until(condition: Callable[[], Found], seconds: float) -> Found:
    """Ask until the answer is true, at most so long; gives the last answer."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return found


def get(connect: Callable[[float], socket.socket], path: str) -> tuple[int, bytes]:
    """Ask over a connection that `connect(timeout)` opens; (0, b"") when nobody answers."""
    connection = http.client.HTTPConnection("machine", timeout=_ASK_SECONDS)
    try:
        connection.sock = connect(_ASK_SECONDS)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def connect_unix(path: Path, timeout: float) -> socket.socket:
    """Open a connection to a Unix socket. Raises OSError."""
    made = socket.socket(socket.AF_UNIX)
    try:
        made.settimeout(timeout)
        made.connect(str(path))
    except OSError:
        made.close()
        raise
    return made


def children() -> dict[int, list[int]]:
    """Give the children of every process of this computer, by the parent's id."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it ended while we looked
        found.setdefault(parent, []).append(int(path.parent.name))
    return found


def descendants(pid: int) -> Iterator[int]:
    """Give every process below this one, at this moment, the nearest first."""
    table = children()
    waiting = list(table.get(pid, []))
    while waiting:
        one = waiting.pop(0)
        yield one
        waiting += table.get(one, [])


def started_at(pid: int) -> str:
    """Give when a process started, in the kernel's own ticks; empty when it does not run (or only waits to be reaped)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
