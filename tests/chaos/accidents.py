# SPDX-License-Identifier: Apache-2.0
"""What happens to whom, and when: a plan that follows from its seed alone, so that it can be made again."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can happen. The values are the words of the timeline."""

    KILL = "kill -9"
    STOP = "stop"
    FREEZE = "freeze"
    CUT = "cut off"
    PART = "cut from each other"
    CONTAINER = "kill a container on"


MACHINE_KINDS = (Kind.KILL, Kind.STOP, Kind.FREEZE, Kind.CUT, Kind.CUT, Kind.PART)
PROCESS_KINDS = (Kind.KILL, Kind.KILL, Kind.KILL, Kind.STOP, Kind.STOP, Kind.FREEZE, Kind.FREEZE)
LASTING = (0.0, 1.0, 3.0, 3.0, 7.0, 7.0, 15.0)
"""Seconds until it is mended."""

LASTING_ON_NODES = (*LASTING, 30.0, 30.0, 30.0)
"""A node may also be away for longer than it takes until its containers move."""

FIRST_SECONDS = 5.0
MOST_AT_ONCE = 3
_MACHINE_SHARE = 0.4
_CONTAINER_SHARE = 0.15
_WEIGHTS = {"node": 4, "control": 3, "etcd": 3, "lb": 1}


@dataclass(frozen=True)
class Accident:
    """One accident. `target` is a machine, or a process as `machine/process`; of two that are parted, `other` is the second."""

    kind: Kind
    target: str
    after: float  # seconds, in its round
    lasts: float
    other: str = ""

    @property
    def machine(self) -> str:
        """Whose accident it is."""
        return self.target.partition("/")[0]

    def __str__(self) -> str:
        whom = f"{self.target} and {self.other}" if self.other else self.target
        lasts = "" if self.kind is Kind.CONTAINER else f", for {self.lasts:g} s"
        return f"{self.kind} {whom} after {self.after:.1f} s{lasts}"


def plan(seed: int, rounds: int, machines: Mapping[str, Sequence[str]]) -> list[list[Accident]]:
    """So many rounds of accidents to these machines with these processes. The same arguments give the same plan."""
    rng = random.Random(seed)
    return [_round(rng, machines) for _ in range(rounds)]


def _round(rng: random.Random, machines: Mapping[str, Sequence[str]]) -> list[Accident]:
    """Up to three, each to a machine of its own, at about the same time."""
    free = dict(machines)
    found = []
    for _ in range(rng.randint(1, MOST_AT_ONCE)):
        name = _one(rng, free)
        processes = free.pop(name)
        is_node = name.startswith("node")
        after, lasts = round(rng.uniform(0, FIRST_SECONDS), 1), rng.choice(LASTING_ON_NODES if is_node else LASTING)
        if is_node and "dockerd" in processes and rng.random() < _CONTAINER_SHARE:
            found.append(Accident(Kind.CONTAINER, name, after, 0))
        elif rng.random() < _MACHINE_SHARE:
            kind = rng.choice(MACHINE_KINDS)
            other = _one(rng, free) if kind is Kind.PART else ""
            free.pop(other, None)
            found.append(Accident(kind, name, after, lasts, other))
        else:
            found.append(Accident(rng.choice(PROCESS_KINDS), f"{name}/{rng.choice(list(processes))}", after, lasts))
    return sorted(found, key=lambda accident: accident.after)


def _one(rng: random.Random, machines: Mapping[str, Sequence[str]]) -> str:
    names = sorted(machines)
    return rng.choices(names, [_WEIGHTS[name.rstrip("0123456789")] for name in names])[0]
