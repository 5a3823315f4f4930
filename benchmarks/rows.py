# SPDX-License-Identifier: Apache-2.0
"""What every measurement gives: rows of one table, each with what it is compared with and the target it is held to."""

import math
from collections.abc import Sequence

import msgspec


class Row(msgspec.Struct, kw_only=True):
    """One line. `ours` and `baseline` are words with their unit; `met` is None where there is no target."""

    group: str
    measure: str
    ours: str
    baseline: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """The last column."""
        return {True: "met", False: "missed", None: ""}[self.met]


class Part(msgspec.Struct):
    """The rows of one measurement and the conditions that all of them share."""

    rows: list[Row]
    conditions: str


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def milliseconds(seconds: float) -> str:
    """A duration as people read it."""
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def rate(per_second: float) -> str:
    """So many a second."""
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{per_second:.1f}/s"
