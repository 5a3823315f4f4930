# SPDX-License-Identifier: Apache-2.0
"""Records as bytes, and back, so that old and new processes can write side by side during an upgrade.

A reader ignores members it does not know; a writer that replaces a record keeps them. So a newer process's additions
survive the older one's rewriting.
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

    Kept are members of the record and of the structs directly in it, not those of list items.
    """
    if over is None:
        return _ENCODER.encode(record)
    try:
        old = _ANY.decode(over)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _damaged(type(record)) from error
    if not _has_unknown(record, old):
        return _ENCODER.encode(record)
    return _ENCODER.encode(_merged(record, old))


def decode(kind: type[T], raw: bytes) -> T:
    """The record in `raw`. Raises `Internal`, naming the kind of record, when it is damaged."""
    try:
        return cast(T, _decoder(kind).decode(raw))
    except (msgspec.DecodeError, RecursionError) as error:  # nested too deeply: nobody of ours wrote that
        raise _damaged(kind) from error


@cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _known(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(kind.__struct_encode_fields__)


def _has_unknown(record: msgspec.Struct, old: dict[str, Any]) -> bool:
    if not old.keys() <= _known(type(record)):
        return True
    return any(isinstance(value, dict) and _nested_unknown(record, name, value) for name, value in old.items())


def _nested_unknown(record: msgspec.Struct, name: str, old: dict[str, Any]) -> bool:
    inner = getattr(record, name, None)
    return isinstance(inner, msgspec.Struct) and _has_unknown(inner, old)


def _merged(record: msgspec.Struct, old: dict[str, Any]) -> dict[str, Any]:
    new: dict[str, Any] = _ANY.decode(_ENCODER.encode(record))
    known = _known(type(record))
    for name, value in old.items():
        if name not in known:
            new[name] = value
        elif isinstance(value, dict) and _nested_unknown(record, name, value):
            new[name] = _merged(getattr(record, name), value)
    return new


def _damaged(kind: type[msgspec.Struct]) -> Internal:
    return Internal(f"A stored {kind.__name__} is damaged; restore the store from a backup or delete the record.")
