# SPDX-License-Identifier: Apache-2.0
"""Picks who takes a process's figures: Prometheus at an address of its own, or nobody."""

import logging
from contextlib import AsyncExitStack

from zun.config import Settings
from zun.telemetry.meter import NO_METER, Meter

_LOG = logging.getLogger(__name__)


async def open_meter(settings: Settings, stack: AsyncExitStack, told_by: str) -> Meter:
    """The meter of a role that serves no API, and its address if the settings name one. Raises `Unavailable` when that is taken."""
    if not settings.metrics.listen:
        return NO_METER
    from zun.telemetry.exposition import Exposition  # noqa: PLC0415
    from zun.telemetry.prometheus import CONTENT_TYPE, PrometheusMeter  # noqa: PLC0415

    meter = PrometheusMeter(told_by)
    exposition = Exposition(settings.metrics.listen, meter.text, CONTENT_TYPE)
    url = await exposition.open()
    stack.push_async_callback(exposition.close)
    _LOG.info("figures are served on %s", url)
    return meter
