# SPDX-License-Identifier: Apache-2.0
"""What every store refuses before it does anything, so that nothing works on one of them only.

etcd counts each list of a transaction by itself and measures the encoded request; the overheads here are upper bounds
of that encoding, so what passes here passes there.
"""

from collections.abc import Sequence

from zun.model.errors import Invalid
from zun.store.interface import (
    MAX_REQUEST_BYTES,
    MAX_TXN_OPS,
    MIN_LEASE_TTL_SECONDS,
    Compare,
    Delete,
    DeletePrefix,
    Get,
    Op,
    Put,
)

MAX_LEASE_TTL_SECONDS = 9_000_000_000
MAX_NUMBER = 2**62
_REQUEST_OVERHEAD = 64
_ENTRY_OVERHEAD = 48


def check_transaction(compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op]) -> int:
    """Refuse a transaction over the limits with `Invalid` (code `too-large`); returns its size in bytes."""
    for entries, what in ((compares, "conditions"), (success, "operations"), (failure, "operations")):
        if len(entries) > MAX_TXN_OPS:
            raise Invalid(
                f"A transaction may hold {MAX_TXN_OPS} {what}, this one has {len(entries)}; split it.",
                code="too-large",
            )
    size = _REQUEST_OVERHEAD + sum(map(_compare_bytes, compares))
    size += sum(map(_op_bytes, success)) + sum(map(_op_bytes, failure))
    if size > MAX_REQUEST_BYTES:
        raise Invalid(
            f"A request may hold {MAX_REQUEST_BYTES} bytes, this one has {size}; store smaller values.",
            code="too-large",
        )
    _check_written_once(success)
    _check_written_once(failure)
    return size


def check_key(key: str) -> int:
    """Refuse a key no store can hold; returns its length in bytes."""
    if not key:
        raise Invalid("A key may not be empty; name the record to read or write.")
    return _utf8_length(key)


def check_range(prefix: str, start_after: str, limit: int, revision: int) -> None:
    """Refuse a range no store can serve."""
    _utf8_length(prefix)
    _utf8_length(start_after)
    if not (0 <= limit <= MAX_NUMBER and 0 <= revision <= MAX_NUMBER):
        raise Invalid("Limit and revision of a range are 62-bit numbers, 0 for all and for now; choose such.")


def check_watch(prefix: str, from_revision: int) -> None:
    """Refuse a watch no store can serve."""
    _utf8_length(prefix)
    if not 1 <= from_revision <= MAX_NUMBER:
        raise Invalid("A watch begins at revision 1 or later (62 bits); list first and watch from the revision after.")


def check_lease_ttl(ttl_seconds: int) -> None:
    """Refuse a lease time no store can keep."""
    if not MIN_LEASE_TTL_SECONDS <= ttl_seconds <= MAX_LEASE_TTL_SECONDS:
        raise Invalid(
            f"A lease lives {MIN_LEASE_TTL_SECONDS} to {MAX_LEASE_TTL_SECONDS} seconds, not {ttl_seconds}; choose another."
        )


def future_revision(asked: int, current: int) -> Invalid:
    """The refusal of a revision that does not exist yet."""
    return Invalid(f"Revision {asked} is in the future, the store is at {current}; ask for an earlier one.")


def _compare_bytes(compare: Compare) -> int:
    value = len(compare.expected) if isinstance(compare.expected, bytes) else 0
    return _ENTRY_OVERHEAD + check_key(compare.key) + value


def _op_bytes(op: Op) -> int:
    match op:
        case Put():
            return _ENTRY_OVERHEAD + check_key(op.key) + len(op.value)
        case DeletePrefix():
            return _ENTRY_OVERHEAD + 2 * _utf8_length(op.prefix)
        case Delete() | Get():
            return _ENTRY_OVERHEAD + check_key(op.key)


def _utf8_length(text: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise Invalid("A key must be valid Unicode text; it holds a lone surrogate.") from error


def _check_written_once(ops: Sequence[Op]) -> None:
    keys: set[str] = set()
    prefixes: list[str] = []
    for op in ops:
        match op:
            case Put() | Delete():
                if op.key in keys:
                    raise _written_twice(op.key)
                keys.add(op.key)
            case DeletePrefix():
                prefixes.append(op.prefix)
            case Get():
                pass
    for place, prefix in enumerate(prefixes):
        for key in keys:
            if key.startswith(prefix):
                raise _written_twice(key)
        for other in prefixes[:place]:
            if other.startswith(prefix) or prefix.startswith(other):
                raise _written_twice(max(prefix, other, key=len))


def _written_twice(key: str) -> Invalid:
    return Invalid(
        f"A transaction may write a key once, but it writes {key!r} twice; merge the writes.", code="too-large"
    )
