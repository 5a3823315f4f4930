# SPDX-License-Identifier: Apache-2.0
"""Names of containers: made up when none is given, and claimed where the operator wants them to be unique."""

import random

from zun.model.children import RecordKind
from zun.model.errors import Conflict
from zun.services.options import ContainerOptions
from zun.store import keys

_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]
_HIGHEST = 24
_WHOLE_CLOUD = "*"
_LONGEST_PART = 200


def random_name(rng: random.Random) -> str:
    """A name of the form clients know; it need not be unique."""
    return f"{rng.choice(_GREEK)}-{rng.randint(1, _HIGHEST)}-container"


def claimed_names(options: ContainerOptions, project_id: str, name: str) -> list[str]:
    """The keys that a container of this name claims; none when names need not be unique."""
    match options.unique_name_scope:
        case "project":
            return [keys.unique_name(project_id, name)]
        case "global":
            return [keys.unique_name(_WHOLE_CLOUD, name)]
    return []


def capsule_names(options: ContainerOptions, project_id: str, name: str) -> list[str]:
    """The same for a capsule: a capsule and a container may have the same name, and a capsule may have none."""
    return claimed_names(options, project_id, f"{RecordKind.CAPSULE.value}/{name}") if name else []


def child_name(capsule: str, number: int) -> str:
    """What a container of a capsule is called; `capsule` is the capsule's name or uuid, `number` counts from 0."""
    return f"capsule-{capsule[:_LONGEST_PART]}-{_GREEK[number % len(_GREEK)]}-{number + 1}"


def name_taken(name: str, what: str = "container") -> Conflict:
    """The refusal of a name that somebody has."""
    return Conflict(f"There is already a {what} named {name}; choose another name.", code="container-already-exists")
