# SPDX-License-Identifier: Apache-2.0
"""Containers in the state a test needs, made without the clients under test."""

import itertools
from typing import Any, Self

from support.service import Service, eventually

IMAGE = "zun.local/busybox:latest"
FOREVER = ["sh", "-c", "trap 'exit 0' TERM; echo to-stdout; echo to-stderr >&2; while :; do sleep 0.1; done"]


class Stage:
    """What lies ready on the service."""

    def __init__(self, service: Service, network: str) -> None:
        self.service = service
        self.network = network
        self.http = service.client()
        self._numbers = itertools.count(1)
        self._shared: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def name(self) -> str:
        """A name nobody has."""
        return f"compat-{next(self._numbers)}"

    def show(self, name: str) -> dict[str, Any]:
        """A container, as the service shows it; {} when there is none."""
        answer = self.http.get(f"/v1/containers/{name}")
        return dict(answer.json()) if answer.status_code == 200 else {}

    def until(self, name: str, *statuses: str) -> dict[str, Any]:
        """Wait for one of the statuses with nothing going on; "gone" is one, too."""

        def reached() -> Any:
            view = self.show(name)
            now = view.get("status", "gone")
            return now in statuses and not view.get("task_state") and (view or {"status": "gone"})

        return dict(eventually(reached, f"{name} becomes {' or '.join(statuses)}, is {self.show(name)}"))

    def make(self, status: str = "Running", **fields: Any) -> str:
        """A container of the test's own; its name."""
        name = self.name()
        body = {"image": IMAGE, "name": name, "command": FOREVER, "memory": 32, "cpu": 0.1} | fields
        run = "false" if status == "Created" else "true"
        answer = self.http.post("/v1/containers", params={"run": run}, json=body)
        assert answer.status_code == 202, answer.text
        self.until(name, status)
        return name

    def shared(self) -> str:
        """A running container that no test changes: it has printed a line to each output."""
        if self._shared is None:
            self._shared = self.make(interactive=True)
            eventually(lambda: "to-stderr" in self.logs(self._shared), "its output is there")
        return self._shared

    def logs(self, name: str | None) -> str:
        """What it printed."""
        return str(self.http.get(f"/v1/containers/{name}/logs").json())
