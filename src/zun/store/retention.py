# SPDX-License-Identifier: Apache-2.0
"""How much history a store keeps, so that it does not grow without bound.

An embedded store forgets by itself, after each commit; for etcd a control loop does it.
"""

from collections import deque
from dataclasses import dataclass

_STEPS = 10


@dataclass(frozen=True)
class Retention:
    """Keep the revisions of the last `seconds`, but not more than `revisions` of them (give or take a tenth)."""

    seconds: float = 600.0
    revisions: int = 100_000


class Compactor:
    """Remembers when which revision was current and says what may be forgotten."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._samples: deque[tuple[float, int]] = deque()

    def due(self, now: float, revision: int, compacted: int) -> int | None:
        """The revision to compact to, if it is time for it. `now` is monotonic; call it after each commit."""
        keep = self._retention
        if not self._samples or now - self._samples[-1][0] >= keep.seconds / _STEPS:
            self._samples.append((now, revision))
        target = 0
        while self._samples and now - self._samples[0][0] >= keep.seconds:
            target = self._samples.popleft()[1]
        if revision - max(compacted, 1) >= keep.revisions + max(keep.revisions // _STEPS, 1):
            target = max(target, revision - keep.revisions)
        return target if target > compacted else None
