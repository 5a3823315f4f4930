# SPDX-License-Identifier: Apache-2.0
"""Stops the node's guarded containers when it is out of touch for too long; the watchdog does the same where the agent cannot."""

import asyncio
from typing import NoReturn

from zun.agent.supervisor import AnyWorker, Supervisor
from zun.agent.touch import Touch
from zun.base.clock import Clock

_LOOK_SECONDS = 5.0
"""Without anything due it looks so often: a container may have come that may be out of touch for a shorter time only."""

_OVERDUE_SECONDS = 1.0
"""While containers must not run, it looks so often whether one does."""


class Fencing:
    """One loop."""

    def __init__(self, supervisor: Supervisor, touch: Touch, clock: Clock) -> None:
        self._supervisor = supervisor
        self._touch = touch
        self._clock = clock
        self._stopping: set[str] = set()
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            while True:
                await self._clock.sleep(_pause(self.look()))
        raise AssertionError("only cancellation ends it")

    def look(self) -> float:
        """Begin to stop what is overdue; returns how long until the next is (seconds). Ask it before a new lease counts: what should have
        stopped meanwhile must not go on because the node is in touch again."""
        left = [(self._touch.left(delay), worker) for worker, delay in self._supervisor.guarded()]
        for seconds, worker in left:
            if seconds <= 0 and worker.memory.uuid not in self._stopping and self._group is not None:
                self._stopping.add(worker.memory.uuid)
                self._group.create_task(self._stop(worker), name=f"stopping {worker.memory.uuid}")
        return min((seconds for seconds, _ in left), default=_LOOK_SECONDS)

    async def _stop(self, worker: AnyWorker) -> None:
        try:
            await worker.fence()
        finally:
            self._stopping.discard(worker.memory.uuid)


def _pause(left: float) -> float:
    return _OVERDUE_SECONDS if left <= 0 else min(left, _LOOK_SECONDS)
