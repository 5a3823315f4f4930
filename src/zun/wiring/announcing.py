# SPDX-License-Identifier: Apache-2.0
"""What a process of the control plane says of itself, for `zunctl doctor`."""

import asyncio
import logging
import os
import socket
from pathlib import Path

from zun import __version__
from zun.base.clock import Clock
from zun.base.disk import free_mib
from zun.config import Settings
from zun.model.errors import ZunError
from zun.model.process import ProcessRecord
from zun.services.processes import Describe

_LOG = logging.getLogger(__name__)
_STEP_MIB = 64
"""Room on a disk is told in steps: a record is written anew when it changes."""


def identity() -> str:
    """This process among all, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


def describing(settings: Settings, role: str, clock: Clock) -> Describe:
    """Tells it anew each time: disks fill up, and certificates are replaced."""
    started_at = clock.now()

    async def describe() -> ProcessRecord:
        return await asyncio.to_thread(_describe, settings, role, started_at)

    return describe


def _describe(settings: Settings, role: str, started_at: float) -> ProcessRecord:
    room = free_mib(settings.state_dir)
    return ProcessRecord(
        role=role,
        identity=identity(),
        version=__version__,
        started_at=started_at,
        state_dir=str(settings.state_dir),
        state_free_mib=None if room is None else room // _STEP_MIB * _STEP_MIB,
        certificates=_certificates(settings),
    )


def _certificates(settings: Settings) -> dict[str, float]:
    """When each ends that this process uses; one that cannot be read is in the log of who uses it."""
    named = [settings.store.ca_file, settings.store.cert_file, settings.gate.ca_file, settings.gate.cert_file]
    files = {Path(name) for name in named if name} | {settings.state_dir / name for name in ("ca.pem", "control.pem")}
    ends: dict[str, float] = {}
    for file in sorted(file for file in files if file.exists()):
        from zun.pki.facts import certificate_facts  # noqa: PLC0415 - loads what reads certificates, where there are some

        try:
            ends[str(file)] = certificate_facts(file).not_after
        except ZunError as error:
            _LOG.debug("%s: %s", file, error)
    return ends
