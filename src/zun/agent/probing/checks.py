# SPDX-License-Identifier: Apache-2.0
"""What is asked of a container, and when: from its wish, in one form for health checks and probes. Pure."""

from enum import StrEnum

import msgspec

from zun.model.children import Child
from zun.model.container import ContainerSpec
from zun.model.probes import KINDS, Probe

_SHELL = ("/bin/sh", "-c")
_INTERVAL_SECONDS = 30
_TIMEOUT_SECONDS = 30
_RETRIES = 3
"""As Docker has them, where the request says nothing."""


class CheckKind(StrEnum):
    """What a check is for; the values complete "Its …"."""

    HEALTH = "health check"
    STARTUP = "startup probe"
    LIVENESS = "liveness probe"
    READINESS = "readiness probe"


ENDING = frozenset({CheckKind.STARTUP, CheckKind.LIVENESS})
"""A container that fails one of these is ended."""


class Check(msgspec.Struct, frozen=True):
    """One question, asked again and again."""

    kind: CheckKind
    probe: Probe


def checks_of_container(spec: ContainerSpec) -> tuple[Check, ...]:
    """A health check as Docker runs it: by a shell, the first time after the interval, one success is enough."""
    asked = spec.healthcheck
    if asked is None:
        return ()
    interval = asked.interval or _INTERVAL_SECONDS
    probe = Probe(
        command=[*_SHELL, asked.test],
        delay=interval,
        period=interval,
        timeout=asked.timeout or _TIMEOUT_SECONDS,
        failures=asked.retries or _RETRIES,
    )
    return (Check(CheckKind.HEALTH, probe),)


def checks_of_child(child: Child) -> tuple[Check, ...]:
    """The probes of a capsule's container."""
    if child.probes is None:
        return ()
    found = ((kind, getattr(child.probes, kind)) for kind in KINDS)
    return tuple(Check(CheckKind[kind.upper()], probe) for kind, probe in found if probe is not None)
