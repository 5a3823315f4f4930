# SPDX-License-Identifier: Apache-2.0
"""Delete every container of the local service through its API: `remove_containers.py STATE_DIR`.

The service itself takes its containers out of the engine, so nothing of anybody else is touched.
"""

import http.client
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

TOTAL_SECONDS = 120.0
POLL_SECONDS = 0.3
REQUEST_SECONDS = 30.0
VERSION = "container 1.40"


class Service:
    """The local service as its state directory describes it."""

    def __init__(self, state_dir: Path) -> None:
        told = json.loads((state_dir / "local.json").read_text())
        self._url: str = told["url"].rstrip("/").removesuffix("/v1")
        self._headers = {"X-Auth-Token": told["token"], "OpenStack-API-Version": VERSION}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, **query: str) -> tuple[int, bytes]:
        """Send one request; an answer that refuses is an answer."""
        address = f"{self._url}/v1{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(address, method=method, headers=self._headers)
        try:
            with self._opener.open(request, timeout=REQUEST_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()

    def containers(self) -> list[dict[str, Any]]:
        """The first page of the containers of all projects."""
        status, body = self.call("GET", "/containers", all_projects="true")
        if status != http.client.OK:
            sys.exit(f"zun: the service does not list its containers (HTTP {status}): {body.decode(errors='replace')}")
        listed: list[dict[str, Any]] = json.loads(body)["containers"]
        return listed

    def delete(self, uuid: str) -> None:
        """Ask for the end of one; a paused one is only deleted with a stop before."""
        status, _ = self.call("DELETE", f"/containers/{uuid}", force="true", all_projects="true")
        if status == http.client.CONFLICT:
            self.call("DELETE", f"/containers/{uuid}", stop="true", all_projects="true")


def main() -> None:
    service = Service(Path(sys.argv[1]))
    deadline = time.monotonic() + TOTAL_SECONDS
    asked: set[str] = set()
    while left := service.containers():
        if time.monotonic() > deadline:
            names = ", ".join(f"{one['name']} ({one['status']})" for one in left)
            sys.exit(f"zun: still there after {TOTAL_SECONDS:.0f} seconds: {names}\n     Look at the service's log.")
        for uuid in (one["uuid"] for one in left if one["uuid"] not in asked):
            service.delete(uuid)
            asked.add(uuid)
        time.sleep(POLL_SECONDS)
    print(f"    {len(asked)} containers removed")


if __name__ == "__main__":
    main()
