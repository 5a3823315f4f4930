# SPDX-License-Identifier: Apache-2.0
"""The driver's marks on sandboxes and containers.

Whose and which are labels, for the engine selects by those. The rest are annotations of ours. A user's own labels are one annotation
as JSON, never annotations of their own: runtimes take orders from annotations (devices, hypervisor settings), and a tenant gives none.
"""

import json
from collections.abc import Mapping

from zun.drivers.runtime.cri.handles import Identity
from zun.drivers.runtime.labels import CAPSULE, GENERATION, OWNER, PREFIX, PROJECT, SANDBOX, UUID, of_sandbox, owned
from zun.drivers.runtime.types import ContainerRequest

IMAGE_ID = f"{PREFIX}image-id"
PORTS = f"{PREFIX}ports"
TTY = f"{PREFIX}tty"
STDIN = f"{PREFIX}stdin"
ONCE = f"{PREFIX}stdin-once"
NETWORK = f"{PREFIX}network"
CREATED_AT = f"{PREFIX}created-at"
RAN = f"{PREFIX}ran"
USER_LABELS = f"{PREFIX}labels"
HOSTNAME = f"{PREFIX}hostname"


def of_request(request: ContainerRequest, owner: str) -> dict[str, str]:
    """The labels of a container and of its sandbox."""
    return owned(
        {},
        owner=owner,
        uuid=request.uuid,
        generation=request.generation,
        project_id=request.project_id,
        capsule=request.capsule,
    )


def user_labels(request: ContainerRequest) -> str:
    """What the user wished, without names that could pass for ours."""
    kept = {name: value for name, value in request.labels.items() if not name.startswith(PREFIX)}
    return json.dumps(kept, sort_keys=True)


def selector(owner: str, which: Identity | None = None) -> dict[str, str]:
    """What the engine is asked for: all of an owner's, or one container's."""
    if which is None:
        return {OWNER: owner}
    return {OWNER: owner, UUID: which.uuid, GENERATION: str(which.generation)}


def capsules_selector(owner: str, capsule: str = "") -> dict[str, str]:
    """The sandboxes of all an owner's capsules, or of one, of every generation."""
    everyone = {OWNER: owner, SANDBOX: "1"}
    return everyone | {CAPSULE: capsule} if capsule else everyone


def capsule_selector(owner: str, which: Identity) -> dict[str, str]:
    """The sandboxes of one capsule."""
    return capsules_selector(owner, which.uuid) | {GENERATION: str(which.generation)}


def member_selector(owner: str, which: Identity) -> dict[str, str]:
    """The containers of one capsule."""
    return {OWNER: owner, CAPSULE: which.uuid, GENERATION: str(which.generation)}


def capsule(found: Mapping[str, str], owner: str) -> Identity | None:
    """Which capsule a sandbox is of; None when it is none of this owner's capsules'."""
    generation = found.get(GENERATION, "")
    if found.get(OWNER) != owner or SANDBOX not in found or not found.get(CAPSULE) or not generation.isdecimal():
        return None
    return Identity(found[CAPSULE], int(generation))


def identity(found: Mapping[str, str], owner: str) -> Identity | None:
    """Which container something belongs to; None when it is not this owner's."""
    generation = found.get(GENERATION, "")
    if found.get(OWNER) != owner or not found.get(UUID) or not generation.isdecimal():
        return None
    return Identity(found[UUID], int(generation))


__all__ = [
    "CAPSULE",
    "CREATED_AT",
    "HOSTNAME",
    "IMAGE_ID",
    "NETWORK",
    "ONCE",
    "PORTS",
    "PROJECT",
    "RAN",
    "STDIN",
    "TTY",
    "USER_LABELS",
    "capsule",
    "capsule_selector",
    "capsules_selector",
    "identity",
    "member_selector",
    "of_request",
    "of_sandbox",
    "selector",
    "user_labels",
]
