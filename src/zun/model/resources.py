# SPDX-License-Identifier: Apache-2.0
"""What a container takes, counted once for all: quotas and nodes must agree to the last thousandth of a core."""

import math

import msgspec

from zun.model.container import ContainerSpec
from zun.model.records import ContainerRecord, Usage, Verb

DEDICATED = "dedicated"
"""The cpu policy of a container that has whole cpus for itself."""


def millicpus(cpu: float) -> int:
    """Cores as whole thousandths, rounded up; noise of binary fractions (1.1 × 1000) does not count."""
    return math.ceil(round(cpu * 1000, 6))


def usage_of(spec: ContainerSpec) -> Usage:
    """What a container counts in its project's quota."""
    return Usage(containers=1, millicpus=millicpus(spec.cpu), memory=spec.memory, disk=spec.disk)


def held_by(record: ContainerRecord) -> Usage:
    """What a container, or a capsule with all of its containers, really holds of its project's quota.

    While a resize is not settled that is the larger of what it had and what it asks for: one that fails gives back what it had,
    and by then nobody must have taken that.
    """
    held = usage_of(record.spec)
    for intent in record.intents:
        if intent.verb is Verb.RESIZE:
            cpu = record.spec.cpu if intent.cpu_before is None else intent.cpu_before
            memory = record.spec.memory if intent.memory_before is None else intent.memory_before
            before = usage_of(msgspec.structs.replace(record.spec, cpu=cpu, memory=memory))
            held = Usage(1, max(held.millicpus, before.millicpus), max(held.memory, before.memory), held.disk)
    return msgspec.structs.replace(held, containers=max(1, len(record.children)))


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
