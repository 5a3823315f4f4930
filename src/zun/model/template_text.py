# SPDX-License-Identifier: Apache-2.0
"""A template that came as text: JSON, or YAML as far as JSON goes.

Words mean what they look like: only `true`, `false`, `null` and decimal numbers are not text (YAML 1.1 would make `on` a truth value, `1:30`
a number and `2026-01-01` a date). No aliases: a few lines of them may stand for more than any memory holds.
"""

import re
from typing import Any

import msgspec
import yaml

from zun.model.errors import Invalid
from zun.model.rules import SCHEMA_VIOLATION

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _PlainLoader(_LOADER):  # type: ignore[misc]
    """Knows the words of JSON alone."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - that is how a loader is told


_PlainLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_PlainLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?$"), list("-+0123456789")
)


def parse(text: str, name: str) -> Any:
    """The value that the text describes. Raises `Invalid`; `name` is what the text is called there."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Invalid(f"'{name}' may have at most {MAX_BYTES} bytes.", code="too-large", status=413)
    try:
        return msgspec.json.decode(text)
    except RecursionError as error:
        raise _too_deep(name) from error
    except (msgspec.DecodeError, UnicodeError):
        return _yaml(text, name)


def _yaml(text: str, name: str) -> Any:
    try:
        _look_over(text, name)
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        what = getattr(error, "problem", None) or "it cannot be read"
        raise Invalid(f"'{name}' is neither JSON nor YAML: {what}{where}.", code=SCHEMA_VIOLATION) from error


def _look_over(text: str, name: str) -> None:
    """Refuse what would cost far more than it looks, before anything is made of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise Invalid(f"'{name}' uses YAML aliases, which are not read here; write the thing out.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _too_deep(name)


def _too_deep(name: str) -> Invalid:
    return Invalid(f"'{name}' is nested deeper than {MAX_DEPTH} levels.", code=SCHEMA_VIOLATION)
