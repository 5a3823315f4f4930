# SPDX-License-Identifier: Apache-2.0
"""What answers come to: so many in a row of one kind change the verdict. Pure."""

from collections.abc import Iterable

import msgspec

from zun.agent.probing.checks import Check
from zun.model.states import Health


class Answer(msgspec.Struct, frozen=True):
    """What came of asking once. `well` None: it could not be asked (the engine is away), which says nothing. `text`: how it failed."""

    well: bool | None
    text: str = ""


PASSED = Answer(well=True)
NOT_ASKED = Answer(well=None)


def failed(text: str) -> Answer:
    """It is not well; `text` goes on after "Its … failed: "."""
    return Answer(well=False, text=text)


class Judge:
    """The verdict on one check. `why` is set while it is unhealthy: how it failed when it became so."""

    def __init__(self, check: Check, health: Health = Health.STARTING) -> None:
        self.check = check
        self.health = health
        self.why = ""
        self._successes = 0
        self._failures = 0

    def take(self, answer: Answer) -> None:
        """One more answer."""
        if answer.well is None:
            return
        probe = self.check.probe
        if answer.well:
            self._successes, self._failures = self._successes + 1, 0
            if self._successes >= probe.successes:
                self.health, self.why = Health.HEALTHY, ""
            return
        self._successes, self._failures = 0, self._failures + 1
        if self._failures >= probe.failures and self.health is not Health.UNHEALTHY:
            self.health, self.why = Health.UNHEALTHY, answer.text


def worst(judges: Iterable[Judge]) -> Judge:
    """The one that says how the container is: an unhealthy one, else one that does not know yet."""
    return max(judges, key=lambda judge: _RANKS[judge.health])


_RANKS = {Health.HEALTHY: 0, Health.STARTING: 1, Health.UNHEALTHY: 2}
