# SPDX-License-Identifier: Apache-2.0
"""Records as bytes, and back, so that old and new processes can write side by side during an upgrade.

A reader ignores members it does not know; a writer that replaces a record keeps them. So a newer process's additions
survive the older one's rewriting (docs/decisions/0043-what-an-old-process-keeps.md).
"""

from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from zun.model.errors import Internal

T = TypeVar("T", bound=msgspec.Struct)
_ENCODER = msgspec.json.Encoder()
_ANY = msgspec.json.Decoder(dict[str, Any])


def encode(record: msgspec.Struct, *, over: bytes | None = None) -> bytes:
    """The bytes to store (JSON). `over` is what they replace: members of it that this process does not know are kept.

    Kept are members of the record, of the structs in it, and of structs in its lists that are there as they were.
    """
    if over is None:
        return _ENCODER.encode(record)
    return _encode_over(record, _members(type(record), over))


def encode_derived(record: msgspec.Struct, *sources: tuple[msgspec.Struct, bytes]) -> bytes:
    """The bytes of a record that is made from others, each given with its own bytes: what those hold that this process does not know,
    goes into it under the same name, also where one of their structs or list items came into it as it was.
    """
    wanted = _known(type(record)).keys()
    carried: dict[str, Any] = {}
    for source, raw in sources:
        if raw == _ENCODER.encode(source):
            continue  # nothing but what this process would have written
        others = _known(type(source)).keys() - wanted
        carried |= {name: value for name, value in _members(type(source), raw).items() if name not in others}
    return _encode_over(record, carried)


def decode(kind: type[T], raw: bytes) -> T:
    """The record in `raw`. Raises `Internal`, naming the kind of record, when it is damaged."""
    try:
        return cast(T, _decoder(kind).decode(raw))
    except (msgspec.DecodeError, RecursionError) as error:  # nested too deeply: nobody of ours wrote that
        raise _damaged(kind) from error


def _encode_over(record: msgspec.Struct, old: dict[str, Any]) -> bytes:
    if not _has_unknown(record, old):
        return _ENCODER.encode(record)
    return _ENCODER.encode(_merged(record, _ANY.decode(_ENCODER.encode(record)), old))


def _members(kind: type[msgspec.Struct], raw: bytes) -> dict[str, Any]:
    try:
        return _ANY.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _damaged(kind) from error


@cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _known(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The names of its members in a store, and those of its attributes."""
    return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


def _has_unknown(value: object, old: object) -> bool:
    """Whether `old`, from which `value` was once read or is to replace, holds a member that this process does not know."""
    if isinstance(value, msgspec.Struct) and isinstance(old, dict):
        known = _known(type(value))
        if not old.keys() <= known.keys():
            return True
        return any(_has_unknown(getattr(value, known[name]), inner) for name, inner in old.items())
    if isinstance(value, list | tuple) and isinstance(old, list) and value and isinstance(value[0], msgspec.Struct):
        return any(_has_unknown(value[0], inner) for inner in old)
    return False


def _merged(value: object, new: Any, old: Any) -> Any:
    """`new`, which is `value` in plain types, with what `old` holds and this process does not know."""
    if isinstance(value, msgspec.Struct) and isinstance(old, dict):
        known = _known(type(value))
        for name, inner in old.items():
            if name not in known:
                new[name] = inner
            elif isinstance(inner, dict | list):
                attribute = getattr(value, known[name])
                merged = _merged(attribute, new.get(name, {}), inner)
                if merged or name in new:  # a struct at its default is left out, unless it holds more than that
                    new[name] = merged
    elif isinstance(value, list | tuple) and isinstance(old, list):
        left = list(old)
        for place, item in enumerate(value):
            if isinstance(item, msgspec.Struct):
                new[place] = _merged(item, new[place], _taken(left, item))
    return new


def _taken(left: list[Any], item: msgspec.Struct) -> object:
    """Takes from `left` what is `item` as far as this process knows."""
    for place, candidate in enumerate(left):
        if _is(candidate, item):
            return left.pop(place)
    return None


def _is(candidate: object, item: msgspec.Struct) -> bool:
    try:
        return bool(msgspec.convert(candidate, type(item)) == item)
    except msgspec.ValidationError:
        return False


def _damaged(kind: type[msgspec.Struct]) -> Internal:
    return Internal(f"A stored {kind.__name__} is damaged; restore the store from a backup or delete the record.")
