# SPDX-License-Identifier: Apache-2.0
"""What a container takes, counted once for all: quotas and nodes must agree to the last thousandth of a core."""

import math

from zun.model.container import ContainerSpec
from zun.model.records import Usage

DEDICATED = "dedicated"
"""The cpu policy of a container that has whole cpus for itself."""


def millicpus(cpu: float) -> int:
    """Cores as whole thousandths, rounded up; noise of binary fractions (1.1 × 1000) does not count."""
    return math.ceil(round(cpu * 1000, 6))


def usage_of(spec: ContainerSpec) -> Usage:
    """What a container counts in its project's quota."""
    return Usage(containers=1, millicpus=millicpus(spec.cpu), memory=spec.memory, disk=spec.disk)


def add(one: Usage, other: Usage) -> Usage:
    """Both together."""
    return Usage(
        containers=one.containers + other.containers,
        millicpus=one.millicpus + other.millicpus,
        memory=one.memory + other.memory,
        disk=one.disk + other.disk,
    )


def subtract(whole: Usage, part: Usage) -> Usage:
    """What is left; never below zero, so that one wrong record cannot spoil a project for ever."""
    return Usage(
        containers=max(0, whole.containers - part.containers),
        millicpus=max(0, whole.millicpus - part.millicpus),
        memory=max(0, whole.memory - part.memory),
        disk=max(0, whole.disk - part.disk),
    )
