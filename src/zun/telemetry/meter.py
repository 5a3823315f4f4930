# SPDX-License-Identifier: Apache-2.0
"""Where figures are told: counted as things happen, looked up when somebody asks. Without anybody who asks nothing is kept."""

from collections.abc import Callable, Iterable
from typing import Protocol

from zun.telemetry.metrics import Metric

Sample = tuple[Metric, float, tuple[str, ...]]
"""A gauge's value, with the values of its labels."""

Look = Callable[[], Iterable[Sample]]


class Meter(Protocol):
    """Takes figures; must be fast and never fails. Labels are given in the order in which the metric declares them."""

    def count(self, metric: Metric, *labels: str) -> None:
        """One more of a counter."""

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """A duration for a histogram."""

    def watch(self, look: Look) -> None:
        """Ask `look` for gauges whenever somebody wants to see them."""


class NoMeter:
    """Nobody asks."""

    def count(self, metric: Metric, *labels: str) -> None:
        """Forgotten."""

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Forgotten."""

    def watch(self, look: Look) -> None:
        """Never asked."""


NO_METER: Meter = NoMeter()
