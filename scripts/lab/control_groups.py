# SPDX-License-Identifier: Apache-2.0
"""The control groups that the engines of a cluster make on the host: `<prefix>/<machine>` in every hierarchy there is."""

import os
from pathlib import Path

from lab.processes import until

ROOT = Path("/sys/fs/cgroup")
_EMPTY_SECONDS = 10


def parent(prefix: str, machine: str) -> str:
    """Give the group below which a machine's engine makes those of its containers."""
    return f"/{prefix}/{machine}"


def present(prefix: str) -> list[Path]:
    """Give the groups of a cluster: one in each hierarchy, version 1 or 2."""
    return [path for path in (ROOT / prefix, *ROOT.glob(f"*/{prefix}")) if path.is_dir()]


def thaw(prefix: str, machine: str) -> None:
    """Let paused containers go on: under version 1 what is frozen cannot even be killed."""
    for top in present(prefix):
        for state in (top / machine).rglob("freezer.state"):
            try:
                state.write_text("THAWED")
            except OSError:
                continue  # the group has just gone


def remove(prefix: str, machine: str = "") -> None:
    """Remove the empty groups of a machine, or of the whole cluster."""
    for top in present(prefix):
        until(lambda top=top: _removed(top / machine), _EMPTY_SECONDS)  # type: ignore[misc]


def _removed(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False  # the kernel still clears away what was in it
    return True
