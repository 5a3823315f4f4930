# SPDX-License-Identifier: Apache-2.0
"""Reads a log until its last line, and tells how long that took and what memory: the same client for every way to a log.

python -m benchmarks.log_client file PATH | tcp HOST:PORT TARGET [HEADER…] | unix PATH TARGET
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LAST = b"that-was-all"
"""Of the log's last lines, of which there are several: framing may part one of them."""

_PIECE = 1 << 18


def read(receive: Callable[[int], bytes]) -> int:
    """Take bytes until the last line; how many there were, framing and all."""
    size, tail = 0, b""
    while LAST not in tail:
        piece = receive(_PIECE)
        if not piece:
            raise SystemExit(f"the log ended after {size} bytes, before its last line: {tail[-500:]!r}")
        size += len(piece)
        tail = tail[-len(LAST) :] + piece
    return size


def from_file(path: str) -> int:
    """As fast as a program can read it."""
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE, bufsize=0) as cat:
        assert cat.stdout is not None
        size = read(lambda most: cat.stdout.read(most) if cat.stdout is not None else b"")
        cat.kill()
    return size


def from_server(connection: socket.socket, target: str, headers: list[str]) -> int:
    """Over HTTP."""
    with connection:
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", *headers]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return read(connection.recv)


def main() -> None:
    """Read, and print what it took as JSON."""
    kind, where, *rest = sys.argv[1:]
    begin = time.perf_counter()
    if kind == "file":
        size = from_file(where)
    elif kind == "tcp":
        host, port = where.rsplit(":", 1)
        size = from_server(socket.create_connection((host, int(port))), rest[0], rest[1:])
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(where)
        size = from_server(connection, rest[0], [])
    took = time.perf_counter() - begin
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"seconds": took, "bytes": size, "peak": peak}))


if __name__ == "__main__":
    main()
