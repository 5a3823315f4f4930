# SPDX-License-Identifier: Apache-2.0
"""When a process is killed: a plan that follows from its seed and the process's name alone, so that it can be made again."""

import itertools
import random
from collections.abc import Iterator

CALM_SECONDS = (3.0, 20.0)
"""Between two deaths of a process it lives so long, at least and at most, from the moment when it is back."""

EARLY_SECONDS = (0.5, 3.0)
"""The same where each is to die so many times only: before a small storm is over."""


def moments(seed: int, name: str, times: int) -> Iterator[float]:
    """How long the process of that name lives before each of its deaths, in seconds; without end when `times` is 0."""
    dice = random.Random(f"{seed}-{name}")
    between = EARLY_SECONDS if times else CALM_SECONDS
    calm = (dice.uniform(*between) for _ in itertools.count())
    return itertools.islice(calm, times or None)
