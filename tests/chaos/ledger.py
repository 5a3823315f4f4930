# SPDX-License-Identifier: Apache-2.0
"""What customers know: which requests were acknowledged, which were refused, and of which the answer was lost."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

RUNS = frozenset({"create", "start", "reboot", "unpause"})
"""What lets a container run when it succeeds."""

MEMORY_MIB = 16


class Outcome(StrEnum):
    """What became of a request, as far as its sender knows."""

    DONE = "acknowledged"
    REFUSED = "refused"
    LOST = "in doubt"


@dataclass
class Account:
    """What one customer knows of one container that it asked for."""

    name: str
    body: dict[str, Any]
    uuid: str = ""
    created: Outcome = Outcome.REFUSED
    asked_to_go: bool = False
    gone: bool = False
    memory: int = MEMORY_MIB  # asked for last
    signals: int = 0  # asked for and not refused
    actions: list[tuple[str, str]] = field(default_factory=list)  # verb and request id of what was acknowledged
    moves: int = 0  # seen in its history
    unsure: bool = False  # something was in doubt since the last acknowledged change
    said: dict[str, bool] = field(default_factory=dict)  # what was to be written in the container, and whether it was
    story: list[str] = field(default_factory=list)

    @property
    def heals(self) -> bool:
        """Whether it is to run on whatever happens to its node."""
        return bool(self.body.get("auto_heal"))

    def note(self, when: float, verb: str, outcome: Outcome, request: str = "") -> None:
        """Add what became of a request that changes it."""
        self.story.append(f"{when:7.2f}  {verb}: {outcome} {request}".rstrip())
        if outcome is Outcome.DONE:
            self.actions.append((verb, request))
            self.unsure = False
        elif outcome is Outcome.LOST:
            self.unsure = True
