# SPDX-License-Identifier: Apache-2.0
"""What HAProxy says by itself, in front of API servers that are not there or go away: errors in the form that clients of the API read."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from lab import balancer
from lab.ports import free_port
from support.service import eventually

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not shutil.which("haproxy", path="/usr/sbin:/usr/bin"), reason="HAProxy is not installed"),
]


@contextmanager
def balanced(directory: Path, *servers: int) -> Iterator[str]:
    """The URL of a HAProxy with the configuration of the guide, in front of servers on these ports."""
    port = free_port()
    text = balancer.TEMPLATE.read_text().replace("@ADDRESS@", f"127.0.0.1:{port}").replace("    bind fd@100\n", "")
    lines = "\n".join(f"    server api{number} 127.0.0.1:{server}" for number, server in enumerate(servers))
    text = text.replace("@SERVERS@", lines).replace("/run/haproxy.sock", str(directory / "admin.sock"))
    file = directory / "haproxy.cfg"
    file.write_text(text)
    process = subprocess.Popen([balancer.program(), "-db", "-q", "-f", file], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: balancer.answers(port), "HAProxy answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(timeout=60)


@contextmanager
def breaking_off() -> Iterator[int]:
    """The port of a server that is well, and hangs up on every other request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                with accepted:
                    if b"GET /healthcheck" in accepted.recv(65536):
                        accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=60)


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and words of an error in the API's form."""
    assert answer.headers["content-type"] == "application/json"
    (entry,) = answer.json()["errors"]
    assert set(entry) == {"request_id", "code", "status", "title", "detail", "links"}
    return entry["status"], entry["code"], entry["detail"]


def test_with_no_api_server_there_the_error_says_that_nothing_was_done(tmp_path: Path) -> None:
    with balanced(tmp_path, free_port(), free_port()) as url:
        for method in ("GET", "POST", "DELETE"):
            answer = httpx.request(method, f"{url}/v1/containers", timeout=30)
            status, code, detail = error_of(answer)
            assert (answer.status_code, status, code) == (503, 503, "container.service-unavailable")
            assert "nothing was done; try again" in detail


def test_a_server_that_breaks_off_is_no_promise_that_nothing_was_done(tmp_path: Path) -> None:
    with breaking_off() as port, balanced(tmp_path, port) as url:
        answer = httpx.post(f"{url}/v1/containers", json={}, timeout=30)
        status, code, detail = error_of(answer)
        assert (answer.status_code, status, code) == (502, 502, "container.bad-gateway")
        assert "look whether what was asked for was done" in detail
