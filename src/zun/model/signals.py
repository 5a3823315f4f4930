# SPDX-License-Identifier: Apache-2.0
"""Signals as people write them: `HUP`, `sighup`, `1`. One canonical name for all of them."""

import signal
from typing import Any

from zun.model.rules import Rule

_NUMBERS = {str(int(known)): known.name for known in signal.Signals}
_NAMES = {known.name for known in signal.Signals}
DEFAULT = "SIGKILL"


def canonical_signal(written: Any) -> str:
    """The signal's full name, e.g. `SIGHUP`. Raises `ValueError` when there is no such signal on Linux."""
    if isinstance(written, int) and not isinstance(written, bool):
        written = str(written)
    if not isinstance(written, str):
        raise ValueError  # noqa: TRY004 - rules speak through ValueError
    if written == "None":
        return DEFAULT
    if written in _NUMBERS:
        return _NUMBERS[written]
    name = written.upper()
    for candidate in (name, f"SIG{name}"):
        if candidate in _NAMES:
            return candidate
    raise ValueError


SIGNAL = Rule(canonical_signal, "a signal such as SIGHUP, HUP or 1", {"type": ["string", "integer"]})
