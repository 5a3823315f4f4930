# SPDX-License-Identifier: Apache-2.0
"""Whether this node is in touch with the control plane, and what follows: what it may start, and what it must stop by itself.

The protocol is docs/decisions/0028-who-may-run-what-and-when.md. A gate stands before whatever starts something: shut from when a lease was
taken until the inbox was read that was there then, and what is to be gone is gone.
"""

import asyncio
import time
from collections.abc import Callable

from zun.model.moving import margin_seconds


def boot_time() -> float:
    """Seconds since the machine started, sleep included: what passes for the control plane passes here."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class OutOfTouch(Exception):
    """What was about to be started must wait (see `Touch.permission`)."""


class Touch:
    """When the node was last in touch, and whether its gate is open."""

    def __init__(self, boottime: Callable[[], float], former: float | None = None) -> None:
        """`former`: when an earlier life of the agent was last in touch, in this life of the machine."""
        self._boottime = boottime
        self.renewed_at = former
        self.lease = 0
        """The store's revision at which the present lease was taken; 0: none yet."""
        self._opened = 0
        self._taken = asyncio.Event()
        self._more = asyncio.Event()

    def now(self) -> float:
        """The machine's time, for `renewed`."""
        return self._boottime()

    def renewed(self, asked_at: float, lease: int) -> None:
        """A heartbeat arrived that was sent at `asked_at`. `lease`: 0, or the revision at which a new lease had to be taken."""
        self.renewed_at = asked_at
        if lease:
            self.lease = lease
            self._taken.set()
            self._taken = asyncio.Event()
        else:
            self._wake()

    def announced(self, asked_at: float, grace_seconds: int) -> None:
        """A restart was announced, and nobody will take the node for lost before the grace is over."""
        self.renewed_at = asked_at + grace_seconds

    async def newer_lease(self, than: int) -> int:
        """Wait for a lease that was taken after `than`."""
        while self.lease <= than:
            await self._taken.wait()
        return self.lease

    def open(self, lease: int) -> None:
        """All that was in the inbox when `lease` was taken is known, and what is to be gone is gone. Of an older lease that means nothing."""
        if lease == self.lease:
            self._opened = lease
            self._wake()

    @property
    def is_open(self) -> bool:
        """Whether anything may be started."""
        return self.lease > 0 and self._opened == self.lease

    def may_start(self, delay_seconds: float | None) -> bool:
        """Whether a container may be started now; `delay_seconds`: it is guarded, and may be placed elsewhere after so long."""
        return self.is_open and (delay_seconds is None or self.left(delay_seconds) > 0)

    async def permission(self, delay_seconds: float | None) -> None:
        """Wait until a container may be started; ask `check` once more at the last moment."""
        while not self.may_start(delay_seconds):
            await self._more.wait()

    def check(self, delay_seconds: float | None) -> None:
        """Raises `OutOfTouch` when a container may not be started now."""
        if not self.may_start(delay_seconds):
            raise OutOfTouch

    def left(self, delay_seconds: float) -> float:
        """How long a guarded container may still run without a heartbeat, in seconds; zero or less: it must stop."""
        if self.renewed_at is None:
            return 0.0
        return self.renewed_at + delay_seconds - margin_seconds(delay_seconds) - self._boottime()

    def _wake(self) -> None:
        """More may be started than before."""
        self._more.set()
        self._more = asyncio.Event()
