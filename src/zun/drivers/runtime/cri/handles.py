# SPDX-License-Identifier: Apache-2.0
"""How the driver names a container: by uuid and generation, for the engine's own ids change whenever it is started again.

A CRI container runs once. Starting what has ended makes a new one in its place (an *attempt*), so no id of the engine's could be the
handle that the agent keeps.
"""

import re
from typing import NamedTuple

from zun.model.errors import NotFound

_HANDLE = re.compile(r"([0-9A-Za-z][0-9A-Za-z-]*)\.([0-9]{1,9})")


class Identity(NamedTuple):
    """Which container, in which of its placements."""

    uuid: str
    generation: int

    @property
    def handle(self) -> str:
        """As the agent keeps it."""
        return f"{self.uuid}.{self.generation}"


def identity_of(handle: str) -> Identity:
    """What a handle says. Raises `NotFound` for what is none: there can be no such container."""
    found = _HANDLE.fullmatch(handle)
    if found is None:
        raise NotFound(f"There is no container {handle[:80]} here; list the containers.")
    return Identity(found[1], int(found[2]))
