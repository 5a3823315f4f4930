# SPDX-License-Identifier: Apache-2.0
"""What a project may still take: decided on its usage record, in the transaction that changes it."""

from zun.model.errors import QuotaExceeded
from zun.model.records import Limits, Usage
from zun.model.resources import add, subtract


def grown(usage: Usage, by: Usage, limits: Limits) -> Usage:
    """The usage with `by` on top. Raises `QuotaExceeded`, naming every resource of `by` that would pass its limit."""
    total = add(usage, by)
    exceeded = [
        name
        for name, more, used, limit in (
            ("containers", by.containers, total.containers, limits.containers),
            ("cpu", by.millicpus, total.millicpus, None if limits.cpu is None else 1000 * limits.cpu),
            ("disk", by.disk, total.disk, limits.disk),
            ("memory", by.memory, total.memory, limits.memory),
        )
        if more > 0 and limit is not None and 0 <= limit < used
    ]
    if exceeded:
        raise QuotaExceeded(
            f"This would pass the project's quota; delete something or ask for a higher limit of: {exceeded}"
        )
    return total


def moved(usage: Usage, before: Usage, after: Usage, limits: Limits | None) -> Usage:
    """The usage when one thing's share changes from `before` to `after`; only what grows is held against `limits` (None: nothing)."""
    growth = subtract(after, before)
    total = add(usage, growth) if limits is None else grown(usage, growth, limits)
    return subtract(total, subtract(before, after))
