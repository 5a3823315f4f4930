# SPDX-License-Identifier: Apache-2.0
"""The short text beside a status, such as `Up 3 mins`, and when it will next read differently.

Caches keep an encoded container until that instant; nothing else in a container ages by the clock.
"""

import math

from zun.model.records import Observation, SeenState
from zun.model.states import Health

_UNITS = ((86400, "days"), (3600, "hours"), (60, "mins"), (1, "seconds"))

NEVER = math.inf


def age(since: float, now: float) -> tuple[str, float]:
    """How long ago `since` was, in one unit, and the instant at which these words change."""
    elapsed = max(0, int(now - since))
    for length, unit in _UNITS:
        if elapsed >= length or length == 1:
            count = elapsed // length
            return f"{count} {unit}", min(since + (count + 1) * length, _next_unit(since, elapsed))
    raise AssertionError("the last unit always fits")


def _next_unit(since: float, elapsed: int) -> float:
    return min((since + length for length, _ in _UNITS if length > elapsed), default=NEVER)


def health_words(health: str | None) -> str:
    """What follows the age of a running container, in Docker's words: ` (healthy)`, or nothing."""
    if health is None:
        return ""
    return " (health: starting)" if health == Health.STARTING else f" ({health})"


def status_detail(seen: Observation | None, now: float) -> tuple[str | None, float]:
    """The text for what the node sees (None before it saw anything), and the instant at which it changes."""
    if seen is None:
        return None, NEVER
    if seen.state in (SeenState.RUNNING, SeenState.PAUSED) and seen.started_at is not None:
        text, until = age(seen.started_at, now)
        state = " (paused)" if seen.state is SeenState.PAUSED else health_words(seen.health)
        return f"Up {text}{state}", until
    if seen.state is SeenState.EXITED:
        code = 0 if seen.exit_code is None else seen.exit_code
        if seen.finished_at is None:
            return f"Exited({code})", NEVER
        text, until = age(seen.finished_at, now)
        return f"Exited({code}) {text} ago {'(error)' if seen.error or seen.reason else ''}", until
    return _PLAIN.get(seen.state), NEVER


_PLAIN = {
    SeenState.CREATED: "Created",
    SeenState.RUNNING: "Up",
    SeenState.PAUSED: "Up (paused)",
    SeenState.RESTARTING: "Restarting",
    SeenState.DEAD: "Dead",
}
