# SPDX-License-Identifier: Apache-2.0
"""Waiting for the store or the engine when a process starts before it, as long as that takes (docs/decisions/0023-who-waits-for-the-store.md)."""

import gc
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.errors import Timeout, Unavailable, ZunError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_RETRY = Backoff(first_seconds=0.2, cap_seconds=5.0)
_SAY_AGAIN_SECONDS = 60.0

Waits = Callable[[str], None]
"""Told once why the process waits."""


def nobody_asks(_: str) -> None:
    """For those who need not know."""


async def reached(
    what: str, reach: Callable[[], Awaitable[T]], clock: Clock, *, retry: Backoff = _RETRY, waits: Waits = nobody_asks
) -> T:
    """What `reach` returns once it does. While it raises `Unavailable` or `Timeout` it is tried again, and a line of the log says so at
    once and then every minute; whatever else it raises is for good. `what` is awaited, for people: "store etcd1:2379".
    """
    since = clock.monotonic()
    failures, said_at = 0, float("-inf")
    while True:
        try:
            found = await reach()
        except (Unavailable, Timeout) as error:
            failed: ZunError = error
            gc.enable()  # off for a quick start, which this is none: failures are garbage in cycles
        else:
            if failures:
                _LOG.info("The %s answers, after %.0f seconds.", what, clock.monotonic() - since)
            return found
        if clock.monotonic() - said_at >= _SAY_AGAIN_SECONDS:
            said_at = clock.monotonic()
            _LOG.warning(
                "The %s cannot be used yet; waiting for it since %.0f seconds: %s", what, said_at - since, failed
            )
            waits(f"waiting for the {what}")
        await clock.sleep(retry.delay(failures))
        failures += 1
