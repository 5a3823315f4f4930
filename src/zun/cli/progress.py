# SPDX-License-Identifier: Apache-2.0
"""One line on standard error that tells what a container that is being made is at; only on a terminal."""

import sys

from zun.cli.watch import Container

_WORDS = {
    "image_pulling": "pulling {image}",
    "container_creating": "creating",
    "container_starting": "starting",
    "container_stopping": "stopping",
    "container_deleting": "removing",
    "container_rebuilding": "making it anew",
}


class Progress:
    """Shows the newest state and wipes it at the end."""

    def __init__(self, *, shown: bool | None = None) -> None:
        self._shown = sys.stderr.isatty() if shown is None else shown
        self._last = ""

    def __call__(self, container: Container | None) -> None:
        """Tell how it is."""
        if container is None or not self._shown:
            return
        task = container.get("task_state")
        words = _WORDS.get(task or "", str(container["status"]).lower()).format(image=container["image"])
        detail = f" ({container['status_reason']})" if container.get("status_reason") and task else ""
        self._write(f"{container['name']}: {words}{detail} …")

    def _write(self, line: str) -> None:
        if line != self._last:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            self._last = line

    def clear(self) -> None:
        """Wipe the line."""
        if self._last:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._last = ""
