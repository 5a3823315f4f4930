# SPDX-License-Identifier: Apache-2.0
"""How long to wait before trying again: exponential, capped, with jitter so that many do not retry in step."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

_SHARED = random.Random()  # noqa: S311 - spreads load, guards nothing; one for all, since each holds 2.5 kB


@dataclass(frozen=True)
class Backoff:
    """A retry schedule.

    Delays grow from `first_seconds` by `factor` up to `cap_seconds`; each is scaled by a random factor in
    [1 − jitter, 1]. `attempts` bounds the number of delays (0: no bound; for loops that must go on for ever).
    """

    first_seconds: float = 0.1
    factor: float = 2.0
    cap_seconds: float = 10.0
    jitter: float = 0.5
    attempts: int = 0
    rng: random.Random = field(default=_SHARED, compare=False)

    def delay(self, attempt: int) -> float:
        """Seconds to wait before retry number `attempt` (0 is the first)."""
        grown = self.first_seconds * self.factor ** min(attempt, 64)
        return min(grown, self.cap_seconds) * (1 - self.jitter * self.rng.random())

    def delays(self) -> Iterator[float]:
        """The delays of one run of retries."""
        attempt = 0
        while not self.attempts or attempt < self.attempts:
            yield self.delay(attempt)
            attempt += 1
