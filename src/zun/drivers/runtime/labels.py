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


def owned(wished: Mapping[str, str], *, owner: str, uuid: str, generation: int, project_id: str) -> dict[str, str]:
    """A container's labels: what its user wished, without our names, and ours."""
    kept = {name: value for name, value in wished.items() if not name.startswith(PREFIX)}
    return kept | {OWNER: owner, UUID: uuid, GENERATION: str(generation), PROJECT: project_id}


def is_holder(found: Mapping[str, str] | None) -> bool:
    """Whether these are a holder's labels. A container has a uuid from us, whatever labels its image brings along."""
    return bool(found and found.get(HOLDS) and not found.get(UUID))


def erased() -> str:
    """The change to a committed image that keeps our labels from living on in it."""
    return "LABEL " + " ".join(f'{name}=""' for name in (OWNER, UUID, GENERATION, PROJECT, HOSTNAME, ADDRESSES, PORTS))
