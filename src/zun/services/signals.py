# SPDX-License-Identifier: Apache-2.0
"""Signals in the spellings that people use."""

import signal

from zun.model.errors import Invalid

DEFAULT = "SIGKILL"


def canonical(text: str | None) -> str:
    """`SIGHUP` for `SIGHUP`, `HUP`, `sighup`, `hup` and `1`; SIGKILL for nothing and for `None`. Raises `Invalid`."""
    if text is None or text in {"", "None"}:
        return DEFAULT
    if text.isascii() and text.isdigit():
        named = {found.value: found.name for found in signal.Signals}.get(int(text[:4]))
    else:
        upper = text.upper()
        full = upper if upper.startswith("SIG") else f"SIG{upper}"
        named = full if full in signal.Signals.__members__ and text in {upper, text.lower()} else None
    if named is None:
        raise Invalid(f"'{text[:32]}' is no signal; use a name such as SIGTERM or its number.")
    return named
