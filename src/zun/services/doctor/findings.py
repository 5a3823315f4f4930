# SPDX-License-Identifier: Apache-2.0
"""What the doctor says."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How bad it is. `ok` and `note` ask for nothing."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: `what` is how it is, `advice` what to do ("" when nothing is), `about` the area (store, nodes, …)."""

    severity: Severity
    about: str
    what: str
    advice: str = ""


class Saying:
    """The findings of one area."""

    def __init__(self, about: str) -> None:
        self._about = about

    def ok(self, what: str) -> Finding:
        """It is well."""
        return Finding(Severity.OK, self._about, what)

    def note(self, what: str, advice: str = "") -> Finding:
        """It is as somebody wants it, and good to know."""
        return Finding(Severity.NOTE, self._about, what, advice)

    def warning(self, what: str, advice: str) -> Finding:
        """It works, but will not for long, or not as it should."""
        return Finding(Severity.WARNING, self._about, what, advice)

    def error(self, what: str, advice: str) -> Finding:
        """It does not work."""
        return Finding(Severity.ERROR, self._about, what, advice)


def some(names: tuple[str, ...] | list[str], most: int = 5) -> str:
    """The first of many names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def duration(seconds: float) -> str:
    """A time span for people, in its largest unit."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return f"{seconds:.0f} seconds"
