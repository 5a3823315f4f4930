# SPDX-License-Identifier: Apache-2.0
"""The few words these scripts exchange with a Docker engine, with nothing but the standard library.

They run before there is a virtual environment, so they cannot use the service's own driver.
"""

import http.client
import json
import socket
import sys
import urllib.parse
from pathlib import Path

SOCKET = Path("/var/run/docker.sock")
TIMEOUT_SECONDS = 30.0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the engine's Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(
    method: str,
    path: str,
    *,
    query: dict[str, str | list[str]] | None = None,
    body: bytes | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> tuple[int, bytes]:
    """Send one request; give the status and the whole body. Raises OSError when no engine answers."""
    if query:
        path += "?" + urllib.parse.urlencode(query, doseq=True)
    connection = _UnixConnection(SOCKET, timeout)
    try:
        connection.request(method, path, body=body, headers={"Content-Type": "application/x-tar"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ping() -> str:
    """Ask for a sign of life: `answers`, `denied` (there, but not for this user) or `silent`."""
    try:
        status, body = call("GET", "/_ping", timeout=5)
    except PermissionError:
        return "denied"
    except (OSError, http.client.HTTPException):
        return "silent"
    return "answers" if status == http.HTTPStatus.OK and body == b"OK" else "silent"


def version() -> str:
    """Give the engine's version in words, for people."""
    _, body = call("GET", "/version")
    told = json.loads(body)
    return f"Docker {told['Version']} (API {told['ApiVersion']})"


if __name__ == "__main__":
    print(version() if sys.argv[1:] == ["version"] else ping())
