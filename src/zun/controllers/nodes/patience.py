# SPDX-License-Identifier: Apache-2.0
"""How long nodes have been away, as this leader saw it with its own eyes and measured on its own clock.

It counts from when it saw a node vanish, which is later than when the node did; and anew when the node was back meanwhile, however
shortly, or when so many were gone at once that it did not believe what it saw.
"""

import msgspec

from zun.base.clock import Clock
from zun.store.view import NodeEntry


class _Silence(msgspec.Struct, frozen=True):
    since: float  # monotonic
    life: int


class Patience:
    """Of one leadership."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silences: dict[str, _Silence] = {}
        self._calm_since = 0.0
        self.held_back = False
        """Whether so many nodes are gone that nothing is moved."""

    def see(self, name: str, node: NodeEntry | None) -> bool:
        """Take note of how a node is; returns whether it is newly lost."""
        if node is None or node.record is None or not node.gone or node.info is None:
            self._silences.pop(name, None)
            return False
        known = self._silences.get(name)
        if known is not None and known.life == node.life_revision:
            return False
        self._silences[name] = _Silence(self._clock.monotonic(), node.life_revision)
        return True

    def hold_back(self, held_back: bool) -> None:  # noqa: FBT001 - what it is to be
        """Too many are gone, or no longer; then everybody who is still away is given the whole delay again."""
        if self.held_back and not held_back:
            self._calm_since = self._clock.monotonic()
        self.held_back = held_back

    def away_seconds(self, name: str, *, forced: bool) -> float:
        """How long a lost node is away as far as moving goes. What an operator declared down is not waited for with the others."""
        silence = self._silences.get(name)
        if silence is None or (self.held_back and not forced):
            return 0.0
        since = silence.since if forced else max(silence.since, self._calm_since)
        return self._clock.monotonic() - since

    def lost(self) -> list[str]:
        """The nodes that are away."""
        return list(self._silences)
