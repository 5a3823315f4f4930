# SPDX-License-Identifier: Apache-2.0
"""Reading nested objects so that whatever is wrong is named by its path: `template.spec.containers[0].image`."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, overload

from zun.model.errors import Invalid
from zun.model.rules import SCHEMA_VIOLATION, Rule

T = TypeVar("T")
D = TypeVar("D")


class Part:
    """An object of a template. Each member is taken by its rule; `finish` refuses what nobody took."""

    def __init__(self, value: object, path: str) -> None:
        """Raises `Invalid` when it is no object, or has a key that is no string."""
        if not isinstance(value, dict):
            raise Invalid(f"'{path}' must be an object.", code=SCHEMA_VIOLATION)
        wrong = next((key for key in value if not isinstance(key, str)), None)
        if wrong is not None:
            raise Invalid(f"'{path}' has the key {wrong!r}; keys are strings.", code=SCHEMA_VIOLATION)
        self.path = path
        self._members: Mapping[str, Any] = value
        self._taken: set[str] = set()

    @overload
    def take(self, name: str, rule: Rule[T]) -> T | None: ...
    @overload
    def take(self, name: str, rule: Rule[T], default: D) -> T | D: ...

    def take(self, name: str, rule: Rule[Any], default: Any = None) -> Any:
        """The member, null counting as absent. Raises `Invalid`."""
        value = self._value(name)
        return default if value is None else rule.parse(self.at(name), value)

    def need(self, name: str, rule: Rule[T]) -> T:
        """A member that must be there. Raises `Invalid`."""
        value = self._value(name)
        if value is None:
            raise Invalid(f"'{self.at(name)}' is required.", code=SCHEMA_VIOLATION)
        return rule.parse(self.at(name), value)

    def part(self, name: str) -> "Part | None":
        """An object in it."""
        value = self._value(name)
        return None if value is None else Part(value, self.at(name))

    def need_part(self, name: str) -> "Part":
        """An object that must be there. Raises `Invalid`."""
        found = self.part(name)
        if found is None:
            raise Invalid(f"'{self.at(name)}' is required.", code=SCHEMA_VIOLATION)
        return found

    def parts(self, name: str) -> Iterator["Part"]:
        """The objects of a list; none when it is absent."""
        value = self._value(name)
        if value is None:
            return
        if not isinstance(value, list):
            raise Invalid(f"'{self.at(name)}' must be a list.", code=SCHEMA_VIOLATION)
        for number, item in enumerate(value):
            yield Part(item, f"{self.at(name)}[{number}]")

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        return self._members.get(name) is not None

    def at(self, name: str) -> str:
        """The path of a member."""
        return f"{self.path}.{name}"

    def finish(self, hint: str = "") -> None:
        """Raises `Invalid` for members that nobody took, by the path of the first; `hint` says what to do instead."""
        unknown = sorted(self._members.keys() - self._taken)
        if unknown:
            known = ", ".join(sorted(self._taken))
            raise Invalid(
                f"'{self.at(unknown[0][:64])}' is not known; known are: {known}.{f' {hint}' if hint else ''}",
                code=SCHEMA_VIOLATION,
            )

    def _value(self, name: str) -> Any:
        self._taken.add(name)
        return self._members.get(name)
