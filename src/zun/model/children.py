# SPDX-License-Identifier: Apache-2.0
"""What a record is, and the parts of a capsule's: a capsule is one record with its containers, its children, inside."""

from enum import StrEnum

import msgspec

from zun.model.container import ContainerSpec
from zun.model.probes import Probes

MAX_CHILDREN = 32
"""More containers, those that run first included, no capsule may have: each report of its node holds them all."""


class RecordKind(StrEnum):
    """What a wish is for. `CHILD` is never stored: that is how one container of a capsule is looked at by itself."""

    CONTAINER = ""
    CAPSULE = "capsule"
    CHILD = "child"


class ImageSource(msgspec.Struct, omit_defaults=True, frozen=True):
    """Where the image of a container comes from, resolved when the request was accepted.

    `reference` is the full normalised reference (`host/path:tag` or `…@sha256:…`) that the engine is asked for;
    `credentials` tells that the sealed blob number `files` (the one after the last file) holds a login.
    """

    reference: str
    pull_policy: str = "ifnotpresent"
    credentials: bool = False


class Child(msgspec.Struct, omit_defaults=True, frozen=True):
    """A container of a capsule. `init`: it runs to its end, in order, before those that are not; `given_name`: what the template calls it.

    Its spec carries the restart policy that counts for it, and cpu and memory 0 where it asked for none: then it is not limited.
    Cores and MiB it may use beyond what it asked for are `cpu_limit` and `memory_limit`; 0: what it asked for is the limit.
    """

    uuid: str
    spec: ContainerSpec
    image_source: ImageSource
    init: bool = False
    given_name: str = ""
    cpu_limit: float = 0.0
    memory_limit: int = 0
    probes: Probes | None = None
