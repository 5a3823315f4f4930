# SPDX-License-Identifier: Apache-2.0
"""How a capsule is shown (wire contract §10.4). `links` and the views of its containers come from whoever renders it."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from zun.model.capsule import child_claim
from zun.model.children import Child
from zun.model.container_view import BY_NAME, OPTIONAL_TEXT, Snapshot, ViewKey
from zun.model.microversions import Microversion

RENAMED: Microversion = (1, 32)
"""From here on names and labels are called so, and the restart policy is an object."""

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}

_SHARED = (
    "uuid",
    "user_id",
    "project_id",
    "created_at",
    "updated_at",
    "status",
    "status_reason",
    "addresses",
    "published_ports",
    "memory",
    "cpu",
)
"""Keys that a capsule shows as a container does."""


def _of_container(name: str) -> ViewKey:
    return BY_NAME[name]


KEYS: tuple[ViewKey, ...] = (
    *map(_of_container, _SHARED),
    ViewKey("name", lambda shot: shot.record.spec.name or None, OPTIONAL_TEXT),
    ViewKey("labels", lambda shot: shot.record.spec.labels, _TEXTS),
    ViewKey("annotations", lambda shot: shot.record.annotations, _TEXTS),
    ViewKey("restart_policy", BY_NAME["restart_policy"].value, _TEXTS),
    ViewKey("host", BY_NAME["host"].value, OPTIONAL_TEXT, "capsule:get:host"),
)
BY_KEY: Mapping[str, ViewKey] = {key.name: key for key in KEYS}

_OLD_NAMES = {"name": "meta_name", "labels": "meta_labels"}
_OLD_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "volumes_info": dict,
    "containers_uuids": list,
    "init_containers_uuids": list,
    "capsule_version": str,
}


def capsule_view(shot: Snapshot, version: Microversion, hidden: Collection[str] = ()) -> dict[str, Any]:
    """The view without the keys in `hidden`, in the words of a microversion."""
    view = {key.name: key.value(shot) for key in KEYS if key.name not in hidden}
    if version >= RENAMED:
        return view
    old = {_OLD_NAMES.get(name, name): value for name, value in view.items()}
    policy = shot.record.spec.restart_policy
    old["restart_policy"] = policy.name if policy is not None else ""
    return old | {name: make() for name, make in _OLD_CONSTANTS.items()}


def beside(child: Child) -> dict[str, Any]:
    """What the view of a capsule's container has beside that of a container: its name in the template, and its limits, which 0 are none."""
    most = child_claim(child)
    return {
        "given_name": child.given_name or None,
        "limits": {"cpu": most.millicpus / 1000, "memory": str(most.memory_mib)},
    }


def schema() -> dict[str, Any]:
    """The JSON schema of the newest form."""
    properties: dict[str, Any] = {key.name: dict(key.schema) for key in KEYS}
    containers = {"type": "array", "items": {"$ref": "#/components/schemas/Container"}}
    properties |= {"containers": containers, "init_containers": containers}
    properties["links"] = {"type": "array", "items": {"type": "object"}}
    return {"type": "object", "properties": properties, "required": ["uuid", "status", "project_id"]}
