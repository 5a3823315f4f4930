# SPDX-License-Identifier: Apache-2.0
"""As much of Keystone as a client needs to log in: a password for a token, and a catalogue with one service in it.

The `zun` shell can log in no other way. Here the password *is* the token of the service under test.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def keystone(service_url: str) -> Iterator[str]:
    """Runs while the block runs; gives the authentication URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            links = [{"rel": "self", "href": f"http://{self.headers['Host']}/v3/"}]
            version = {"id": "v3.14", "status": "stable", "links": links, "media-types": []}
            self._answer(200, {"version": version})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            password = asked["auth"]["identity"]["password"]["user"]["password"]
            self._answer(201, {"token": _token(service_url)}, {"X-Subject-Token": password})

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            pass

        def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v3"
    finally:
        server.shutdown()
        thread.join(timeout=60)
        server.server_close()


def _token(service_url: str) -> dict[str, Any]:
    endpoint = {"id": "e1", "interface": "public", "region": "one", "region_id": "one", "url": f"{service_url}/v1"}
    return {
        "methods": ["password"],
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "user": {"id": "u1", "name": "admin", "domain": {"id": "default", "name": "Default"}},
        "project": {"id": "admin", "name": "admin", "domain": {"id": "default", "name": "Default"}},
        "roles": [{"id": "r1", "name": "admin"}],
        "catalog": [{"id": "s1", "type": "container", "name": "zun", "endpoints": [endpoint]}],
    }
