# SPDX-License-Identifier: Apache-2.0
"""Which things are a project's: what one tenant asks must not take the longer the more all the others have."""


class Owned:
    """Uuids by project, in the order in which they came."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, None]] = {}

    def add(self, project_id: str, uuid: str) -> None:
        """It is the project's."""
        self._held.setdefault(project_id, {})[uuid] = None

    def remove(self, project_id: str, uuid: str) -> None:
        """It is no longer."""
        held = self._held.get(project_id)
        if held is not None:
            held.pop(uuid, None)
            if not held:
                del self._held[project_id]

    def of(self, project_id: str) -> list[str]:
        """What the project has."""
        return list(self._held.get(project_id, ()))
