# SPDX-License-Identifier: Apache-2.0
"""Times and sizes as people say them."""

from datetime import UTC, datetime

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def instant(text: str | None) -> datetime | None:
    """A timestamp of the API, which is UTC without a zone."""
    return None if not text else datetime.fromisoformat(text).replace(tzinfo=UTC)


def duration(seconds: float) -> str:
    """`3 minutes`; one unit."""
    whole = max(0, int(seconds))
    for length, unit in _UNITS:
        if whole >= length:
            count = whole // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"


def age(text: str | None, now: datetime) -> str:
    """How long ago a timestamp of the API was."""
    then = instant(text)
    return "-" if then is None else f"{duration((now - then).total_seconds())} ago"


def milliseconds(value: float) -> str:
    """`850 ms`, `12.3 s`."""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def size(octets: float) -> str:
    """`12.3 MiB`."""
    value = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def mebibytes(value: float) -> str:
    """An amount given in MiB."""
    return size(value * 1024 * 1024)
