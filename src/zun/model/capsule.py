# SPDX-License-Identifier: Apache-2.0
"""A capsule and its containers, looked at one by one: what a child's wish, its node's word on it and its claim are. Pure."""

from collections.abc import Iterable

import msgspec

from zun.model.children import Child, RecordKind
from zun.model.records import Claim, ContainerRecord, Observation, SeenState
from zun.model.resources import millicpus

_SHARES_OF_A_CORE = 1024
_LEAST_SHARES = 2  # the kernel knows none that is less

_WITH_ADDRESSES = frozenset({SeenState.RUNNING, SeenState.PAUSED, SeenState.RESTARTING})


def child_of(record: ContainerRecord, uuid: str) -> Child | None:
    """The capsule's container with this uuid."""
    return next((child for child in record.children if child.uuid == uuid), None)


def child_record(record: ContainerRecord, child: Child) -> ContainerRecord:
    """The wish for one container of a capsule, as if it stood alone; the intents are the capsule's."""
    return msgspec.structs.replace(
        record,
        uuid=child.uuid,
        spec=child.spec,
        image_source=child.image_source,
        registry_id=None,
        kind=RecordKind.CHILD,
        children=[],
        annotations={},
        names=[],
        files=0,
    )


def child_seen(seen: Observation | None, uuid: str) -> Observation | None:
    """What the capsule's node sees of one container, with the address they share; None when it told nothing of it yet."""
    found = next((one for one in seen.children if one.uuid == uuid), None) if seen is not None else None
    if seen is None or found is None:
        return None
    if seen.state is SeenState.UNKNOWN:
        return msgspec.structs.replace(
            found, generation=seen.generation, state=SeenState.UNKNOWN, reason=seen.reason, at=seen.at
        )
    addresses = seen.addresses if found.state in _WITH_ADDRESSES else []
    return msgspec.structs.replace(
        found, generation=seen.generation, intent_done=seen.intent_done, addresses=addresses, at=seen.at
    )


def child_claim(child: Child) -> Claim:
    """What one container may use at most; nothing set: it is not limited."""
    return Claim(
        millicpus=millicpus(child.cpu_limit or child.spec.cpu), memory_mib=child.memory_limit or child.spec.memory
    )


def child_shares(child: Child) -> int | None:
    """The weight of a container that may use more cpu than it asked for, while others want the same cpu: 1024 for a core, as Kubernetes has it
    and as engines give who says nothing. None: it is never given more than it asked for, and needs no weight."""
    if not child.cpu_limit:
        return None
    return max(_LEAST_SHARES, millicpus(child.spec.cpu) * _SHARES_OF_A_CORE // 1000)


def together(children: Iterable[Child]) -> tuple[float, int]:
    """Cores and MiB that a capsule takes: of each, the larger of what its containers take together and what any init container takes,
    for these run alone and before."""
    cpu = memory = 0
    most_cpu, most_memory = 0.0, 0
    for child in children:
        if child.init:
            most_cpu, most_memory = max(most_cpu, child.spec.cpu), max(most_memory, child.spec.memory)
        else:
            cpu, memory = cpu + millicpus(child.spec.cpu), memory + child.spec.memory
    return max(cpu / 1000, most_cpu), max(memory, most_memory)
