# SPDX-License-Identifier: Apache-2.0
"""The labels by which a container in the engine is known to be ours, and whose it is."""

from collections.abc import Mapping

PREFIX = "io.zun."
OWNER = "io.zun.owner"
UUID = "io.zun.uuid"
GENERATION = "io.zun.generation"
PROJECT = "io.zun.project"
HOLDS = "io.zun.holds"  # it is nobody's container, and has the network of the one with this uuid
HOSTNAME = "io.zun.hostname"  # of one whose network is held: wished by its user
ADDRESSES = "io.zun.addresses"  # likewise: what its own name stands for
PORTS = "io.zun.ports"  # likewise: exposed
CAPSULE = "io.zun.capsule"  # whose container, or sandbox, it is
SANDBOX = "io.zun.sandbox"  # it holds a capsule together, and is nobody's container


def owned(
    wished: Mapping[str, str], *, owner: str, uuid: str, generation: int, project_id: str, capsule: str = ""
) -> dict[str, str]:
    """A container's labels: what its user wished, without our names, and ours."""
    kept = {name: value for name, value in wished.items() if not name.startswith(PREFIX)}
    ours = {OWNER: owner, UUID: uuid, GENERATION: str(generation), PROJECT: project_id}
    return kept | ours | {CAPSULE: capsule}  # also when empty, lest the image's labels tell it


def of_sandbox(*, owner: str, capsule: str, generation: int, project_id: str) -> dict[str, str]:
    """A sandbox's labels; without a uuid of its own it is no container."""
    return {OWNER: owner, CAPSULE: capsule, GENERATION: str(generation), PROJECT: project_id, SANDBOX: "1"}


def is_holder(found: Mapping[str, str] | None) -> bool:
    """Whether these are a holder's labels. A container has a uuid from us, whatever labels its image brings along."""
    return bool(found and found.get(HOLDS) and not found.get(UUID))


def is_sandbox(found: Mapping[str, str] | None) -> bool:
    """Whether these are a sandbox's labels; likewise."""
    return bool(found and found.get(CAPSULE) and SANDBOX in found and not found.get(UUID))


def is_nobodys(found: Mapping[str, str] | None) -> bool:
    """Whether these are the labels of something that only serves containers."""
    return is_holder(found) or is_sandbox(found)


def erased() -> str:
    """The change to a committed image that keeps our labels from living on in it."""
    names = (OWNER, UUID, GENERATION, PROJECT, HOSTNAME, ADDRESSES, PORTS, CAPSULE, SANDBOX)
    return "LABEL " + " ".join(f'{name}=""' for name in names)
