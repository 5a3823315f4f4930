# SPDX-License-Identifier: Apache-2.0
"""The labels by which a container in the engine is known to be ours, and whose it is."""

from collections.abc import Mapping

PREFIX = "io.zun."
OWNER = "io.zun.owner"
UUID = "io.zun.uuid"
GENERATION = "io.zun.generation"
PROJECT = "io.zun.project"


def owned(wished: Mapping[str, str], *, owner: str, uuid: str, generation: int, project_id: str) -> dict[str, str]:
    """A container's labels: what its user wished, without our names, and ours."""
    kept = {name: value for name, value in wished.items() if not name.startswith(PREFIX)}
    return kept | {OWNER: owner, UUID: uuid, GENERATION: str(generation), PROJECT: project_id}


def erased() -> str:
    """The change to a committed image that keeps our labels from living on in it."""
    return "LABEL " + " ".join(f'{name}=""' for name in (OWNER, UUID, GENERATION, PROJECT))
