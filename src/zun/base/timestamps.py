# SPDX-License-Identifier: Apache-2.0
"""Instants as the wire shows them: UTC, without a zone; containers with a space, everything else with a `T`."""

from datetime import UTC, datetime


def spaced(seconds: float | None) -> str | None:
    """`YYYY-MM-DD HH:MM:SS[.ffffff]`, the only form that strict clients accept for containers and capsules."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(" ")


def iso(seconds: float | None) -> str | None:
    """`YYYY-MM-DDTHH:MM:SS[.ffffff]`, for services, actions and events."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
