# SPDX-License-Identifier: Apache-2.0
"""What a value in a request may be: one rule reads it, names what is allowed when it is wrong, and knows its JSON schema.

A rule is a value, made by the functions below; fields (`zun.model.fields`) use them, and nothing else validates input.
Text may come from JSON or from a query string, so rules for numbers and truth also take text where the wire contract says so.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from zun.model.errors import Invalid

T = TypeVar("T")
U = TypeVar("U")

SCHEMA_VIOLATION = "schema-validation-error"


class Rule(msgspec.Struct, Generic[T], frozen=True):
    """`read` turns the raw value into the normalised one, or raises `ValueError`, whose text (may be empty) adds detail.

    `allowed` completes the sentence “… must be”; `schema` is the JSON schema of the raw value.
    """

    read: Callable[[Any], T]
    allowed: str
    schema: Mapping[str, Any]

    def parse(self, name: str, value: object, *, code: str = SCHEMA_VIOLATION) -> T:
        """The normalised value. Raises `Invalid` naming the field and what is allowed."""
        try:
            return self.read(value)
        except ValueError as error:
            detail = f" ({error})" if str(error) else ""
            raise Invalid(f"'{name}' must be {self.allowed}{detail}.", code=code) from error


def text(minimum: int = 0, maximum: int = 0, *, pattern: str = "", whole: bool = True, hint: str = "") -> Rule[str]:
    """A string of `minimum` to `maximum` (0: any) characters in which `pattern` matches (the `whole` string, or somewhere).

    `hint` says in words what the pattern wants. A NUL character is never allowed: no engine can carry it.
    """
    matcher = re.compile(pattern) if pattern else None
    search = (matcher.fullmatch if whole else matcher.search) if matcher else None

    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) < minimum or (maximum and len(value) > maximum):
            raise ValueError
        if "\x00" in value or (search is not None and not search(value)):
            raise ValueError
        return value

    written = pattern or r"[^\x00]*"
    schema: dict[str, Any] = {"type": "string", "pattern": f"^(?:{written})$" if whole else written}
    size = ""
    if minimum:
        schema["minLength"] = minimum
    if maximum:
        schema["maxLength"] = maximum
        size = f" of {minimum} to {maximum} characters"
    elif minimum:
        size = " that is not empty" if minimum == 1 else f" of at least {minimum} characters"
    return Rule(read, f"a string{size}{', ' + hint if hint else ''}", schema)


def one_of(*values: str, also: Mapping[str, str] | None = None, fold: bool = False) -> Rule[str]:
    """One of `values`; `also` maps further accepted spellings to what they mean; `fold`: in any mix of letter cases."""
    meanings = {value: value for value in values} | dict(also or {})

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError  # noqa: TRY004 - rules speak through ValueError
        word = value.lower() if fold else value
        if word not in meanings:
            raise ValueError
        return meanings[word]

    return Rule(read, "one of " + ", ".join(f"'{v}'" for v in values), {"type": "string", "enum": list(meanings)})


def integer(minimum: int | None = None, maximum: int | None = None) -> Rule[int]:
    """A whole number, as a number or as digits."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError  # noqa: TRY004 - rules speak through ValueError
        if isinstance(value, str) and not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            raise ValueError
        number = int(value)
        if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
            raise ValueError
        return number

    bounds: dict[str, int] = {}
    words = "a whole number"
    if minimum is not None:
        bounds["minimum"] = minimum
        words += f" of at least {minimum}"
    if maximum is not None:
        bounds["maximum"] = maximum
        words += f"{' and' if minimum is not None else ' of'} at most {maximum}"
    pattern = r"^[0-9]{1,18}$" if minimum is not None and minimum >= 0 else r"^[+-]?[0-9]{1,18}$"
    return Rule(read, words, {"oneOf": [{"type": "integer"} | bounds, {"type": "string", "pattern": pattern}]})


def _truth(kind: str, true: frozenset[str], false: frozenset[str], *, fold: bool = False) -> Rule[bool]:
    def read(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if not isinstance(value, str):
            raise ValueError  # noqa: TRY004 - rules speak through ValueError
        word = value.lower() if fold else value
        if word in true:
            return True
        if word in false:
            return False
        raise ValueError

    schema = {"oneOf": [{"type": "boolean"}, {"type": "string", "enum": sorted(true | false)}]}
    return Rule(read, kind, schema)


NARROW_BOOLEAN = _truth("true or false", frozenset({"True", "true"}), frozenset({"False", "false"}))
"""JSON truth or the words `True true False false`."""

WIDE_BOOLEAN = _truth(
    "a truth value (true/false, yes/no, on/off, 1/0)",
    frozenset({"True", "true", "TRUE", "1", "ON", "On", "on", "YES", "Yes", "yes"}),
    frozenset({"False", "false", "FALSE", "0", "OFF", "Off", "off", "NO", "No", "no"}),
)
"""What flags of actions and deletions take."""

LIST_BOOLEAN = _truth(
    "a truth value (true/false, t/f, yes/no, y/n, on/off, 1/0)",
    frozenset({"1", "t", "true", "on", "y", "yes"}),
    frozenset({"0", "f", "false", "off", "n", "no"}),
    fold=True,
)
"""What `all_projects` takes on GET, in any case."""


def _json_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - rules speak through ValueError
    return value


JSON_BOOLEAN = Rule(_json_boolean, "true or false (a JSON value, not a string)", {"type": "boolean"})
"""Truth in JSON only."""


def list_of(item: Rule[T], maximum: int = 0) -> Rule[list[T]]:
    """A list whose items follow `item`; at most `maximum` (0: any number)."""

    def read(value: Any) -> list[T]:
        if not isinstance(value, list) or (maximum and len(value) > maximum):
            raise ValueError
        read_items = []
        for place, entry in enumerate(value):
            try:
                read_items.append(item.read(entry))
            except ValueError as error:
                raise ValueError(f"item {place} must be {item.allowed}{f': {error}' if str(error) else ''}") from error
        return read_items

    schema: dict[str, Any] = {"type": "array", "items": dict(item.schema)}
    if maximum:
        schema["maxItems"] = maximum
    return Rule(read, "a list" + (f" of at most {maximum} items" if maximum else ""), schema)


def map_of(item: Rule[T], key_hint: str = "strings") -> Rule[dict[str, T]]:
    """An object whose values follow `item`."""

    def read(value: Any) -> dict[str, T]:
        if not isinstance(value, dict):
            raise ValueError  # noqa: TRY004 - rules speak through ValueError
        read_items = {}
        for key, entry in value.items():
            if not key or "\x00" in key:
                raise ValueError("a key is empty or holds a NUL character")
            try:
                read_items[key] = item.read(entry)
            except ValueError as error:
                raise ValueError(f"the value of '{key}' must be {item.allowed}") from error
        return read_items

    schema = {"type": "object", "additionalProperties": dict(item.schema), "propertyNames": {"minLength": 1}}
    return Rule(read, f"an object of {key_hint}", schema)


def then(rule: Rule[T], further: Callable[[T], U], allowed: str = "") -> Rule[U]:
    """A rule that goes on with what `rule` read; `further` may raise `ValueError`."""
    return Rule(lambda value: further(rule.read(value)), allowed or rule.allowed, rule.schema)


def or_none_word(rule: Rule[T]) -> Rule[T | None]:
    """As `rule`, but the word `None` (old clients send it literally in queries) means that nothing was given."""
    schema = {"anyOf": [dict(rule.schema), {"type": "string", "enum": ["None"]}]}
    return Rule(lambda value: None if value == "None" else rule.read(value), rule.allowed, schema)
