# SPDX-License-Identifier: Apache-2.0
"""The short text beside a status, and the instant at which it changes."""

from typing import Any

import pytest

from zun.model.records import Observation, SeenState
from zun.model.status_detail import NEVER, age, status_detail

T = 1_700_000_000.0


def seen(state: SeenState, **fields: Any) -> Observation:
    return Observation("c", 1, state, **fields)


@pytest.mark.parametrize(
    ("elapsed", "text"),
    [
        (0, "0 seconds"),
        (59, "59 seconds"),
        (60, "1 mins"),
        (3599, "59 mins"),
        (3600, "1 hours"),
        (86399, "23 hours"),
        (86400, "1 days"),
        (863999, "9 days"),
        (-5, "0 seconds"),
    ],
)
def test_an_age_is_told_in_one_unit(elapsed: float, text: str) -> None:
    assert age(T, T + elapsed)[0] == text


@pytest.mark.parametrize("elapsed", [0, 0.5, 30.2, 59.9, 60, 119, 3599, 3600, 7000, 86399.5, 86400, 200_000])
def test_the_text_stays_until_the_announced_instant_and_not_longer(elapsed: float) -> None:
    text, until = age(T, T + elapsed)
    assert until > T + elapsed
    assert age(T, until - 0.001)[0] == text
    assert age(T, until)[0] != text


@pytest.mark.parametrize(
    ("observation", "text"),
    [
        (None, None),
        (seen(SeenState.ABSENT), None),
        (seen(SeenState.CREATED), "Created"),
        (seen(SeenState.RUNNING, started_at=T - 300), "Up 5 mins"),
        (seen(SeenState.RUNNING, started_at=T - 300, health="healthy"), "Up 5 mins (healthy)"),
        (seen(SeenState.RUNNING, started_at=T - 300, health="unhealthy"), "Up 5 mins (unhealthy)"),
        (seen(SeenState.RUNNING, started_at=T - 300, health="starting"), "Up 5 mins (health: starting)"),
        (seen(SeenState.PAUSED, started_at=T - 7200, health="healthy"), "Up 2 hours (paused)"),
        (seen(SeenState.PAUSED, started_at=T - 7200), "Up 2 hours (paused)"),
        (seen(SeenState.EXITED, finished_at=T - 3, exit_code=0), "Exited(0) 3 seconds ago "),
        (
            seen(SeenState.EXITED, finished_at=T - 60, exit_code=127, error="no such file"),
            "Exited(127) 1 mins ago (error)",
        ),
        (seen(SeenState.RESTARTING), "Restarting"),
        (seen(SeenState.DEAD), "Dead"),
        (seen(SeenState.UNKNOWN), None),
    ],
)
def test_each_state_has_the_words_that_clients_know(observation: Observation | None, text: str | None) -> None:
    assert status_detail(observation, T)[0] == text


def test_what_does_not_age_never_changes() -> None:
    assert status_detail(seen(SeenState.CREATED), T)[1] == NEVER
