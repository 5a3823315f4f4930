# SPDX-License-Identifier: Apache-2.0
"""Control groups named after containers, in which the engine makes those of their sandboxes and attempts.

The engine's ids change with every start; by the handle the node's watchdog finds a container's processes even when nobody had the time to
tell it their number (docs/decisions/0052-a-container-is-its-attempts.md). The sandbox, which outlives its container, has a group beside
it that the watchdog takes for nobody's. Runtimes make these groups, but remove only what they made last in them.
"""

from pathlib import Path

from zun.drivers.runtime.host.cgroups import CGROUPS


class Groups:
    """The containers' groups below one parent. Without a parent, or with a slice of systemd's, they have none of their own."""

    def __init__(self, parent: str, *, root: Path = CGROUPS) -> None:
        self._parent = parent
        self._root = root

    def of_container(self, handle: str) -> str:
        """Where the groups of a container's attempts go."""
        return self._below(handle)

    def of_sandbox(self, handle: str) -> str:
        """Where the groups of its sandboxes go."""
        return self._below(f"sandbox-{handle.replace('.', '-')}")

    def remove(self, handle: str) -> bool:
        """Remove both; false while processes are in them. None is no error. Blocking."""
        if not self._are_own:
            return True
        wanted = [group.lstrip("/") for group in (self.of_container(handle), self.of_sandbox(handle))]
        found = [path for root in self._hierarchies() for group in wanted if (path := root / group).is_dir()]
        left = [path for path in found if not _remove(path)]
        return not left

    def _below(self, name: str) -> str:
        return f"{self._parent.rstrip('/')}/{name}" if self._are_own else self._parent

    @property
    def _are_own(self) -> bool:
        return bool(self._parent) and not self._parent.endswith(".slice")

    def _hierarchies(self) -> list[Path]:
        """The unified one is the root itself; the others are its directories."""
        return [self._root, *(path for path in self._root.iterdir() if path.is_dir() and not path.is_symlink())]


def _remove(group: Path) -> bool:
    """A group and those below it; the kernel's files in them go with their directory."""
    try:
        for path in group.iterdir():
            if path.is_dir() and not _remove(path):
                return False
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # busy
    return True
