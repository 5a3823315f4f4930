# SPDX-License-Identifier: Apache-2.0
"""How a container is shown: the keys of its view, most of them derived from the declaration of its fields.

`links` and `status_detail` are missing here: the one depends on how the client reached us, the other on the clock.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from zun.base.timestamps import spaced
from zun.model import publishing
from zun.model.container import ContainerSpec
from zun.model.fields import Declared, declared
from zun.model.records import Address, ContainerRecord, Observation, Place
from zun.model.states import Status
from zun.model.status import Derived

OPTIONAL_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}
_TEXT: Mapping[str, Any] = {"type": "string"}
_OPTIONAL_NUMBER: Mapping[str, Any] = {"type": ["integer", "null"]}
_OPTIONAL_WORDS: Mapping[str, Any] = {"type": ["array", "null"], "items": {"type": "string"}}


class Snapshot(msgspec.Struct, frozen=True):
    """All that a view is made from. `seen` is what the node of `place` says of this generation."""

    record: ContainerRecord
    place: Place | None
    seen: Observation | None
    derived: Derived


class ViewKey(msgspec.Struct, frozen=True):
    """One key of the view. `policy`: the rule that lets a caller see it; empty: everybody who sees the container."""

    name: str
    value: Callable[[Snapshot], Any]
    schema: Mapping[str, Any]
    policy: str = ""


def snapshot(record: ContainerRecord, place: Place | None, seen: Observation | None, derived: Derived) -> Snapshot:
    """The parts of a view; an observation of another generation than the place's counts as none."""
    if place is None or (seen is not None and seen.generation != place.generation):
        seen = None
    return Snapshot(record, place, seen, derived)


def _own_or_image(own: str, image: str) -> Callable[[Snapshot], Any]:
    """What the user wished, else what the node found in the image."""

    def value(shot: Snapshot) -> Any:
        wished = getattr(shot.record.spec, own)
        return wished if wished is not None or shot.seen is None else getattr(shot.seen, image)

    return value


def _seen(
    attribute: str, show: Callable[[Any], Any] = lambda value: value, absent: Any = None
) -> Callable[[Snapshot], Any]:
    def value(shot: Snapshot) -> Any:
        return absent if shot.seen is None else show(getattr(shot.seen, attribute))

    return value


def addresses_of(place: Place | None, seen: Observation | None) -> list[Address]:
    """Its addresses: those that the control plane gave it, running or not; else what its node sees."""
    if place is None or place.attachments is None:
        return seen.addresses if seen is not None else []
    return [
        Address(network=one.network, addr=address.addr, version=address.version)
        for one in place.attachments
        for address in one.addresses
    ]


def _addresses(shot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for address in addresses_of(shot.place, shot.seen):
        entry = msgspec.structs.asdict(address)
        found.setdefault(entry.pop("network"), []).append(entry)
    return found


def _updated_at(shot: Snapshot) -> str | None:
    changed = max(shot.record.updated_at, shot.seen.at if shot.seen is not None else 0.0)
    return spaced(changed) if changed > shot.record.created_at else None


def _host(shot: Snapshot) -> str | None:
    return (shot.place.node or None) if shot.place is not None else None


_ADDRESSES_SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "addr": {"type": "string"},
                "version": {"type": "integer"},
                "port": {"type": "string"},
                "subnet_id": {"type": "string"},
                "preserve_on_delete": {"type": "boolean"},
            },
        },
    },
}

_PUBLISHED_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "host_address": OPTIONAL_TEXT,
            "host_port": _OPTIONAL_NUMBER,
            "port": {"type": "integer"},
            "protocol": {"type": "string", "enum": ["tcp", "udp"]},
        },
    },
}

_OTHERS = (
    ViewKey("uuid", lambda shot: shot.record.uuid, _TEXT),
    ViewKey("user_id", lambda shot: shot.record.user_id, _TEXT),
    ViewKey("project_id", lambda shot: shot.record.project_id, _TEXT),
    ViewKey("command", _own_or_image("command", "image_command"), _OPTIONAL_WORDS),
    ViewKey("entrypoint", _own_or_image("entrypoint", "image_entrypoint"), _OPTIONAL_WORDS),
    ViewKey("workdir", _own_or_image("workdir", "image_workdir"), OPTIONAL_TEXT),
    ViewKey("status", lambda shot: shot.derived.status, {"type": "string", "enum": [str(status) for status in Status]}),
    ViewKey("status_reason", lambda shot: shot.derived.reason, OPTIONAL_TEXT),
    ViewKey("task_state", lambda shot: shot.derived.task_state, OPTIONAL_TEXT),
    ViewKey("ports", _seen("ports", absent=[]), {"type": "array", "items": {"type": "integer"}}),
    ViewKey("addresses", _addresses, _ADDRESSES_SCHEMA),
    ViewKey("published_ports", lambda shot: publishing.shown(shot.record.spec, shot.place), _PUBLISHED_SCHEMA),
    ViewKey("registry_id", lambda shot: shot.record.registry_id, OPTIONAL_TEXT),
    ViewKey("host", _host, OPTIONAL_TEXT, "container:get_one:host"),
    ViewKey("created_at", lambda shot: spaced(shot.record.created_at), OPTIONAL_TEXT),
    ViewKey("updated_at", _updated_at, OPTIONAL_TEXT),
    ViewKey("exit_code", _seen("exit_code"), _OPTIONAL_NUMBER),
    ViewKey("started_at", _seen("started_at", spaced), OPTIONAL_TEXT),
    ViewKey("finished_at", _seen("finished_at", spaced), OPTIONAL_TEXT),
    ViewKey("health", _seen("health"), OPTIONAL_TEXT),
    ViewKey("restarts", _seen("restarts", absent=0), {"type": "integer"}),
)


def _of_field(entry: Declared) -> ViewKey:
    shown = entry.field.shown
    assert shown is not None  # noqa: S101 - the caller looked

    def value(shot: Snapshot) -> Any:
        return shown.value(getattr(shot.record.spec, entry.attribute))

    rule = entry.field.rule
    return ViewKey(entry.attribute, value, shown.schema or (rule.schema if rule else {}), shown.policy)


KEYS: tuple[ViewKey, ...] = _OTHERS + tuple(
    _of_field(entry) for entry in declared(ContainerSpec) if entry.field.shown is not None
)
"""Every key of the view but `links` and `status_detail`."""

BY_NAME: Mapping[str, ViewKey] = {key.name: key for key in KEYS}
GUARDED: tuple[ViewKey, ...] = tuple(key for key in KEYS if key.policy)
"""The keys that not everybody may see."""


def container_view(shot: Snapshot, hidden: Collection[str] = ()) -> dict[str, Any]:
    """The view without the keys in `hidden`."""
    return {key.name: key.value(shot) for key in KEYS if key.name not in hidden}
