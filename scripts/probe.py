# SPDX-License-Identifier: Apache-2.0
"""What `scripts/run` asks about the service it started: is it ready, and who holds its port.

probe.py ready URL SECONDS PID   wait until URL answers 200, at most SECONDS and no longer than PID lives
probe.py holder PORT             name the process that listens on loopback's PORT; nothing when it is free
"""

import http.client
import sys
import time
import urllib.request
from pathlib import Path

POLL_SECONDS = 0.1
LISTEN = "0A"  # the state's number in /proc/net/tcp


def answers(url: str) -> bool:
    """Say whether the URL answers 200 within two seconds; a proxy of the environment is not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == http.client.OK)
    except (OSError, http.client.HTTPException):
        return False


def lives(pid: int) -> bool:
    """Say whether the process runs: one that has ended but was not waited for (Z) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_ready(url: str, seconds: float, pid: int) -> bool:
    """Poll until the URL answers; give up when the time is over or the process has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and lives(pid):
        if answers(url):
            return True
        time.sleep(POLL_SECONDS)
    return False


def listening_inode(port: int) -> str | None:
    """Find the socket that listens on the port, on any address; None when there is none."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                return fields[9]
    return None


def holder(port: int) -> str:
    """Describe the process that listens on the port; empty when nothing does."""
    inode = listening_inode(port)
    if inode is None:
        return ""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == f"socket:[{inode}]":
                process = link.parent.parent
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"process {process.name} ({command})"
        except OSError:
            continue  # the process ended while we looked, or belongs to somebody else
    return "a process of another user"


if __name__ == "__main__":
    if sys.argv[1] == "ready":
        sys.exit(0 if wait_until_ready(sys.argv[2], float(sys.argv[3]), int(sys.argv[4])) else 1)
    print(holder(int(sys.argv[2])))
