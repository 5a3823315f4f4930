# SPDX-License-Identifier: Apache-2.0
"""Prefixes as byte ranges: the stores order keys by their UTF-8 bytes and know only half-open ranges."""

EVERYTHING_AFTER = b"\x00"


def prefix_end(prefix: bytes) -> bytes | None:
    """The first key after all keys with `prefix`; None when no key is after them (empty, or nothing but 0xff)."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def first_key(prefix: bytes, start_after: bytes) -> bytes:
    """Where a page begins: the prefix itself, or the successor of the last key of the page before."""
    return max(prefix, start_after + b"\x00") if start_after else prefix
