# SPDX-License-Identifier: Apache-2.0
"""Records as tests need them: everything that does not matter has a value already."""

import uuid as uuids

import msgspec

from zun.model.container import ContainerSpec
from zun.model.records import ContainerRecord, NetworkInfo, NodeInfo

T0 = 1_700_000_000.0


def spec(**fields: object) -> ContainerSpec:
    """A container spec."""
    return msgspec.structs.replace(ContainerSpec(image="docker.io/library/busybox:latest", name="web"), **fields)


def record(project_id: str = "p1", *, name: str = "web", at: float = T0, **fields: object) -> ContainerRecord:
    """A wish."""
    wished = ContainerRecord(str(uuids.uuid4()), project_id, "u1", spec(name=name), at, at)
    return msgspec.structs.replace(wished, **fields)


def node_info(name: str = "n1", **fields: object) -> NodeInfo:
    """A capable node's account of itself."""
    info = NodeInfo(
        node=name,
        uuid=str(uuids.uuid5(uuids.NAMESPACE_DNS, name)),
        boot_id="boot",
        started_at=T0,
        at=T0,
        reports=1,
        cpus=8,
        memory_total_mib=16_384,
        disk_total_gib=100,
        millicpus=128_000,
        memory_mib=16_384,
        disk_gib=100,
        architecture="x86_64",
        engine="fake",
        runtimes=["runc"],
        default_runtime="runc",
        capabilities=["commit", "live-resize", "networks", "pause", "port-forward", "privileged", "rebuild", "volumes"],
        networks=[
            NetworkInfo("net-1", "bridge", "bridge", ["172.17.0.0/16"]),
            NetworkInfo("net-2", "lab", "bridge", ["10.9.0.0/24"], fixed_addresses=True),
        ],
    )
    return msgspec.structs.replace(info, **fields)
