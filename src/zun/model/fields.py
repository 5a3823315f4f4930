# SPDX-License-Identifier: Apache-2.0
"""Declared fields: the metadata that an attribute of a Struct carries, and reading a request by it.

    class Wish(msgspec.Struct):
        memory: Annotated[int, Field(MEMORY, doc="MiB", option=Option("--memory", "MIB"))] = 512

Request validation (here), JSON schema (`zun.model.schemas`), views (`zun.model.container_view`) and options of the command line
(`zun.model.cli_options`) derive from this one declaration; adding a plain field means adding one attribute.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from zun.model import microversions
from zun.model.errors import Invalid
from zun.model.microversions import Microversion
from zun.model.rules import SCHEMA_VIOLATION, Rule

F = TypeVar("F", bound=msgspec.Struct)

Bounds = Mapping[str, tuple[float, float]]
"""Lowest and highest value that the operator allows, by field name; they come from the settings, not from the declaration."""


class Below(Enum):
    """What a request gets that uses a field below its microversion."""

    REFUSED = auto()  # 400: the parameter needs a newer version
    UNKNOWN = auto()  # 400: there is no such property


class Since(msgspec.Struct, frozen=True):
    """The microversion that brought a field. `when` says which normalised values count as using it (default: any)."""

    version: Microversion
    below: Below = Below.REFUSED
    when: Callable[[Any], bool] | None = None


class Earlier(msgspec.Struct, frozen=True):
    """Another rule for requests below a microversion."""

    before: Microversion
    rule: Rule[Any]


class Option(msgspec.Struct, frozen=True):
    """How the command line sets the field. `read` turns the texts a person gave into the value of the request.

    A `switch` takes no text and means true; a `repeated` option may be given more than once.
    """

    flags: tuple[str, ...]
    metavar: str = ""
    read: Callable[[list[str]], Any] | None = None
    repeated: bool = False
    switch: bool = False
    help: str = ""


class Shown(msgspec.Struct, frozen=True):
    """How a view shows the field: `value` turns the attribute into JSON. `policy` is the rule that lets a caller see it."""

    value: Callable[[Any], Any] = lambda attribute: attribute
    schema: Mapping[str, Any] | None = None
    policy: str = ""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field. `rule` reads it from a request; None: it cannot be sent.

    `nullable`: null counts as absent; otherwise null is refused. `wire`: its name in requests, when it is not the attribute's.
    `bounded`: the operator's `Bounds` apply. `patch`: a PATCH may change it.
    """

    rule: Rule[Any] | None
    doc: str = ""
    wire: str = ""
    required: bool = False
    nullable: bool = True
    bounded: bool = False
    patch: bool = False
    since: Since | None = None
    earlier: Earlier | None = None
    shown: Shown | None = None
    option: Option | None = None


class Declared(msgspec.Struct, frozen=True):
    """A field with the names it has: `attribute` in the Struct, `wire` in requests."""

    attribute: str
    wire: str
    field: Field


class Unknown(Enum):
    """What happens to members that no field declares."""

    REFUSE = auto()  # 400 of a body
    REFUSE_QUERY = auto()  # 400 of a query
    IGNORE = auto()


@cache
def declared(form: type[msgspec.Struct]) -> tuple[Declared, ...]:
    """The declared fields of a Struct, in order."""
    found: list[Declared] = []
    for attribute, hint in get_type_hints(form, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            continue
        notes = [note for note in get_args(hint)[1:] if isinstance(note, Field)]
        found += [Declared(attribute, note.wire or attribute, note) for note in notes]
    return tuple(found)


@cache
def by_wire(form: type[msgspec.Struct]) -> Mapping[str, Declared]:
    """The fields that a request may hold, by their names there."""
    return {entry.wire: entry for entry in declared(form) if entry.field.rule is not None}


def read_members(
    form: type[msgspec.Struct],
    members: Mapping[str, Any],
    version: Microversion = microversions.MAXIMUM,
    *,
    unknown: Unknown = Unknown.IGNORE,
    bounds: Bounds | None = None,
    only: Iterable[str] | None = None,
    code: str = "",
) -> dict[str, Any]:
    """The normalised values by attribute, of what was given (null is absent). `only`: the wire names allowed at all.

    Raises `Invalid` naming the first wrong member and what is allowed; its code is `code`, or what `unknown` implies.
    """
    code = code or ("invalid-value" if unknown is Unknown.REFUSE_QUERY else SCHEMA_VIOLATION)
    fields = by_wire(form)
    allowed = frozenset(fields if only is None else only)
    values = {}
    for name, value in members.items():
        entry = fields.get(name) if name in allowed else None
        if entry is None or _not_known_yet(entry, version):
            if unknown is not Unknown.IGNORE:
                raise _unknown(name, sorted(allowed), unknown, code)
            continue
        if value is None and entry.field.nullable:
            continue
        since = entry.field.since
        if since is not None and version < since.version and since.when is None:
            raise needs_version(entry.wire, since.version, version)
        read = _read(entry, value, version, bounds or {}, code)
        if since is not None and version < since.version and since.when is not None and since.when(read):
            raise needs_version(entry.wire, since.version, version)
        values[entry.attribute] = read
    for entry in fields.values():
        if entry.field.required and entry.attribute not in values and entry.wire in allowed:
            raise Invalid(f"'{entry.wire}' is required.", code=code)
    return values


def read_form(
    form: type[F],
    members: Mapping[str, Any],
    version: Microversion = microversions.MAXIMUM,
    *,
    unknown: Unknown = Unknown.IGNORE,
    code: str = "",
) -> F:
    """The Struct that the members describe; attributes that were not given keep their defaults."""
    return form(**read_members(form, members, version, unknown=unknown, code=code))


def _read(entry: Declared, value: Any, version: Microversion, bounds: Bounds, code: str) -> Any:
    field = entry.field
    rule = field.earlier.rule if field.earlier is not None and version < field.earlier.before else field.rule
    assert rule is not None  # noqa: S101 - `by_wire` holds only fields with a rule
    result = rule.parse(entry.wire, value, code=code)
    if field.bounded and entry.attribute in bounds:
        low, high = bounds[entry.attribute]
        if not low <= result <= high:
            raise Invalid(f"'{entry.wire}' must be between {low:g} and {high:g}.", code=code)
    return result


def _not_known_yet(entry: Declared, version: Microversion) -> bool:
    since = entry.field.since
    return since is not None and since.below is Below.UNKNOWN and version < since.version


def needs_version(name: str, needed: Microversion, used: Microversion) -> Invalid:
    """The refusal of a parameter that a newer version brought."""
    return Invalid(
        f"'{name}' needs API version {microversions.text(needed)} or newer; this request used {microversions.text(used)}.",
        code="invalid-param-in-version",
    )


def _unknown(name: str, allowed: list[str], unknown: Unknown, code: str) -> Invalid:
    kind = "property" if unknown is Unknown.REFUSE else "query parameter"
    known = ", ".join(allowed) if allowed else "none"
    return Invalid(f"There is no {kind} '{name[:64]}' here; known are: {known}.", code=code)
