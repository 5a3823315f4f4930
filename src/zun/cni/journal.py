# SPDX-License-Identifier: Apache-2.0
"""What was bound, on disk: one small file for each sandbox, replaced whole, so that a daemon that starts knows what runs.

It speaks of the kernel's links and addresses, which live as long as the machine's boot and no longer. So files are not synced to the
disk: whoever kills the daemon loses nothing, and what a machine without power loses was gone already. A file of another boot, or one
that cannot be read, is as if it were not there.
"""

import logging
import os
from enum import StrEnum
from pathlib import Path

import msgspec

from zun.model.attachments import SandboxNetwork

_LOG = logging.getLogger(__name__)
_SUFFIX = ".json"


class Phase(StrEnum):
    """How far it is."""

    BINDING = "binding"  # an ADD that has not been answered: to be undone when nobody finishes it
    BOUND = "bound"


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox in work or bound. `netns` is the path of its namespace, `namespace` what tells it from any other.

    `sandbox` holds every attachment that may be there; while one is being changed, the old and the new ones.
    """

    container_id: str
    netns: str
    namespace: str
    sandbox: SandboxNetwork
    phase: Phase
    boot_id: str

    @property
    def key(self) -> str:
        """The sandbox's key."""
        return self.sandbox.key


class Journal:
    """The folder `<state-dir>/cni/bound`, a file for each container id of the engine."""

    def __init__(self, state_dir: Path, boot_id: str) -> None:
        self._folder = state_dir / "cni" / "bound"
        self.boot_id = boot_id

    def load(self) -> list[Bound]:
        """All of this boot; others are cleared away. Raises `OSError`."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = []
        for path in sorted(self._folder.iterdir()):
            bound = _read(path)
            if bound is not None and bound.boot_id == self.boot_id and path == self._path(bound.container_id):
                found.append(bound)
            else:
                path.unlink(missing_ok=True)
        return found

    def write(self, bound: Bound) -> None:
        """Remember. Raises `OSError`."""
        path = self._path(bound.container_id)
        fresh = path.with_name(f".{path.name}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(bound))
        fresh.replace(path)

    def remove(self, container_id: str) -> None:
        """Forget; unknown is no error. Raises `OSError`."""
        self._path(container_id).unlink(missing_ok=True)

    def _path(self, container_id: str) -> Path:
        return self._folder / f"{container_id}{_SUFFIX}"


def _read(path: Path) -> Bound | None:
    if path.name.startswith("."):
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Bound)
    except (OSError, msgspec.DecodeError) as error:
        _LOG.warning("%s cannot be read and is cleared away: %s", path, error)
        return None
