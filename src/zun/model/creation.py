# SPDX-License-Identifier: Apache-2.0
"""A create or update request, read by the declarations of `zun.model.container` and the few rules that span fields."""

from collections.abc import Mapping
from typing import Any

import msgspec

from zun.model.container import ContainerSpec
from zun.model.container_rules import MountRequest
from zun.model.errors import Invalid, Unsupported
from zun.model.fields import Bounds, Unknown, declared, read_members
from zun.model.microversions import Microversion
from zun.model.parts import Mount
from zun.model.rules import SCHEMA_VIOLATION

MAX_FILE_BYTES = 256 * 1024
MAX_FILES_BYTES = 1024 * 1024

PATCHABLE = frozenset(entry.wire for entry in declared(ContainerSpec) if entry.field.patch)


class CreateRequest(msgspec.Struct, frozen=True):
    """What a create request asks for. `files`: contents to inject, by number; `given`: the wire names that were set."""

    spec: ContainerSpec
    files: dict[int, bytes]
    given: frozenset[str]


class ContainerChanges(msgspec.Struct, frozen=True):
    """What a PATCH changes; None: unchanged."""

    cpu: float | None = None
    memory: int | None = None  # MiB
    name: str | None = None
    auto_heal: bool | None = None


def parse_create(members: Mapping[str, Any], version: Microversion, bounds: Bounds) -> CreateRequest:
    """Read the body of a create request. Raises `Invalid` naming the field (413 when the files are too large)."""
    values = read_members(ContainerSpec, members, version, unknown=Unknown.REFUSE, bounds=bounds)
    if (1, 20) <= version < (1, 36) and "interactive" in values:
        values["tty"] = values["interactive"]
    if version >= (1, 20) and values.get("security_groups") and values.get("exposed_ports"):
        raise Invalid("'security_groups' and 'exposed_ports' exclude each other; give one.", code=SCHEMA_VIOLATION)
    files: dict[int, bytes] = {}
    values["mounts"] = [_mount(request, files) for request in values.get("mounts", ())]
    given = frozenset(name for name, value in members.items() if value is not None)
    return CreateRequest(ContainerSpec(**values), files, given)


def parse_update(members: Mapping[str, Any], version: Microversion, bounds: Bounds) -> ContainerChanges:
    """Read the body of a PATCH or of resize_container. Raises `Invalid` naming the field."""
    values = read_members(ContainerSpec, members, version, unknown=Unknown.REFUSE, bounds=bounds, only=PATCHABLE)
    return ContainerChanges(**values)


def _mount(request: MountRequest, files: dict[int, bytes]) -> Mount:
    if request.size is not None:
        raise Unsupported(
            "A mount with 'size' needs the volume service, which is not configured here; "
            "name a local volume with 'source' instead.",
            code="volume-not-usable",
        )
    if request.content is None:
        return Mount(request.destination, source=request.source)
    number = len(files)
    files[number] = request.content
    if len(request.content) > MAX_FILE_BYTES or sum(map(len, files.values())) > MAX_FILES_BYTES:
        raise Invalid(
            f"Injected files may have {MAX_FILE_BYTES // 1024} KiB each and {MAX_FILES_BYTES // 1024} KiB together.",
            code="too-large",
            status=413,
        )
    return Mount(request.destination, file=number)
