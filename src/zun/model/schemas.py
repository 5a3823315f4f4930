# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of requests, derived from declared fields."""

from typing import Any

import msgspec

from zun.model.fields import Bounds, Field, by_wire


def request_schema(
    form: type[msgspec.Struct], *, closed: bool, bounds: Bounds | None = None, only: frozenset[str] | None = None
) -> dict[str, Any]:
    """The schema of a JSON object that describes `form`. `closed`: other members are refused. `only`: the names allowed."""
    fields = {name: entry.field for name, entry in by_wire(form).items() if only is None or name in only}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: member_schema(name, field, bounds or {}) for name, field in fields.items()},
    }
    required = [name for name, field in fields.items() if field.required]
    if required:
        schema["required"] = required
    if closed:
        schema["additionalProperties"] = False
    return schema


def member_schema(name: str, field: Field, bounds: Bounds) -> dict[str, Any]:
    """The schema of one member: its rule, the operator's bounds, null where it may be null."""
    assert field.rule is not None  # noqa: S101 - `by_wire` holds only fields with a rule
    schema = dict(field.rule.schema)
    if field.bounded and name in bounds:
        low, high = bounds[name]
        schema["oneOf"] = [
            branch | {"minimum": low, "maximum": high} if branch["type"] != "string" else branch
            for branch in schema["oneOf"]
        ]
    if field.nullable:
        schema = {"anyOf": [schema, {"type": "null"}]}
    description = field.doc
    if field.since is not None:
        description += f" Since {field.since.version[0]}.{field.since.version[1]}."
    return schema | {"description": description} if description else schema
