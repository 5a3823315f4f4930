# SPDX-License-Identifier: Apache-2.0
"""What a container of a capsule's template asks for (`resources.requests`) and what it may use at most (`resources.limits`).

The rules are Kubernetes': a request that is not named is the limit, and no limit is below its request. One differs, for the wire contract
has it so: a limit that is not named is the request.
"""

from typing import TypeVar

import msgspec

from zun.model.errors import Invalid
from zun.model.fields import Bounds
from zun.model.quantities import CORES, MEBIBYTES
from zun.model.rules import SCHEMA_VIOLATION, Rule
from zun.model.template_part import Part

A = TypeVar("A", int, float)


class Resources(msgspec.Struct, frozen=True):
    """Cores and MiB. What is asked for is counted and placed; the limits are 0 where they are no more than that."""

    cpu: float = 0.0
    memory: int = 0
    cpu_limit: float = 0.0
    memory_limit: int = 0


def resources_of(container: Part, bounds: Bounds) -> Resources:
    """Read `resources`; without them nothing is asked for, and nothing limited. `bounds` hold for requests and limits alike. Raises `Invalid`."""
    part = container.part("resources")
    if part is None:
        return Resources()
    requests, limits = part.part("requests"), part.part("limits")
    part.finish()
    cpu, cpu_limit = _amounts("cpu", CORES, requests, limits, bounds)
    memory, memory_limit = _amounts("memory", MEBIBYTES, requests, limits, bounds)
    for one in (requests, limits):
        if one is not None:
            one.finish()
    return Resources(cpu or 0.0, memory or 0, cpu_limit or 0.0, memory_limit or 0)


def _amounts(
    name: str, rule: Rule[A], requests: Part | None, limits: Part | None, bounds: Bounds
) -> tuple[A | None, A | None]:
    """What is asked for, and the limit when it is more."""
    limit = _amount(name, rule, limits, bounds)
    asked = _amount(name, rule, requests, bounds)
    if asked is None or limit is None:
        return (limit if asked is None else asked), None
    if limits is not None and requests is not None and limit < asked:
        raise Invalid(
            f"'{limits.at(name)}' must not be below '{requests.at(name)}'; raise it, or ask for less.",
            code=SCHEMA_VIOLATION,
        )
    return asked, limit if limit > asked else None


def _amount(name: str, rule: Rule[A], part: Part | None, bounds: Bounds) -> A | None:
    value = part.take(name, rule) if part is not None else None
    low, high = bounds.get(name, (0, float("inf")))
    if part is not None and value is not None and not low <= value <= high:
        raise Invalid(f"'{part.at(name)}' must be between {low:g} and {high:g}.", code=SCHEMA_VIOLATION)
    return value
