# SPDX-License-Identifier: Apache-2.0
"""The node's account of itself: what the engine and machine have, and what of it containers may use."""

from collections.abc import Callable

import msgspec

from zun.agent.options import AgentOptions
from zun.drivers.runtime.types import Capability, Fingerprint
from zun.model.errors import Invalid
from zun.model.records import NodeInfo


class Endpoint(msgspec.Struct, frozen=True):
    """Where API servers reach the node's streams (host:port, "" when they need no way), and when its certificate ends, if it has one."""

    address: str
    certificate_expires_at: Callable[[], float | None] = lambda: None


NOWHERE = Endpoint("")


class About(msgspec.Struct, frozen=True):
    """What does not come from the engine."""

    node: str
    uuid: str
    boot_id: str
    started_at: float
    endpoint: Endpoint = NOWHERE


def node_info(about: About, found: Fingerprint, options: AgentOptions, *, now: float, reports: int) -> NodeInfo:
    """The account. Cpus that are given away one by one are never shared or over-committed. Raises `Invalid` for bad options."""
    dedicated = dedicated_cpus(options.dedicated_cpus, found.cpus)
    shared = [cpu for cpu in range(found.cpus) if cpu not in set(dedicated)]
    shareable = max(0, len(shared) - options.reserved_host_cpus)
    memory = max(0, found.memory_total_mib - options.reserved_host_memory_mib)
    disk = max(0, found.disk_total_gib - options.reserved_host_disk_gib)
    return NodeInfo(
        node=about.node,
        uuid=about.uuid,
        boot_id=about.boot_id,
        started_at=about.started_at,
        at=now,
        reports=reports,
        cpus=found.cpus,
        memory_total_mib=found.memory_total_mib,
        disk_total_gib=found.disk_total_gib,
        millicpus=int(1000 * shareable * options.cpu_allocation_ratio) + 1000 * len(dedicated),
        memory_mib=int(memory * options.ram_allocation_ratio),
        disk_gib=int(disk * options.disk_allocation_ratio),
        architecture=found.architecture,
        os_type=found.os_type,
        os=found.os,
        kernel_version=found.kernel_version,
        engine=found.engine,
        engine_version=found.engine_version,
        labels=found.labels,
        runtimes=found.runtimes,
        default_runtime=found.default_runtime,
        capabilities=sorted(capability.value for capability in _with_ours(found.capabilities)),
        networks=list(found.networks),
        dedicated_cpus=dedicated,
        shared_cpus=shared,
        disk_quota_supported=Capability.DISK_QUOTA in found.capabilities,
        stream_address=about.endpoint.address,
        certificate_expires_at=about.endpoint.certificate_expires_at(),
    )


def _with_ours(of_engine: frozenset[Capability]) -> frozenset[Capability]:
    """What the agent does itself where the engine does not: health checks, by running commands."""
    return of_engine | {Capability.HEALTH} if Capability.EXEC in of_engine else of_engine


def dedicated_cpus(text: str, cpus: int) -> list[int]:
    """The cpus in a list like "2-3,6". Raises `Invalid` when it is none, or names a cpu the machine lacks."""
    found: set[int] = set()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise Invalid(f"dedicated_cpus: {part!r} is no cpu and no range; write it like '2-3,6'.")
        low, high = int(first), int(last) if dash else int(first)
        if low > high or high >= cpus:
            raise Invalid(f"dedicated_cpus: {part!r} does not fit this machine, which has the cpus 0 to {cpus - 1}.")
        found |= set(range(low, high + 1))
    return sorted(found)
