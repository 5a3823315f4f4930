# SPDX-License-Identifier: Apache-2.0
"""Keeps the node's promise for one container: it does not run here when it may run elsewhere (docs/decisions/0028-who-may-run-what-and-when.md)."""

import asyncio
import logging

from zun.agent.memory import ALIVE, Memory
from zun.agent.tools import Tools
from zun.model.errors import Conflict, NotFound, ZunError
from zun.model.records import Inbox, SeenState

_log = logging.getLogger(__name__)
_MAY_RUN = frozenset({SeenState.RUNNING, SeenState.PAUSED, SeenState.UNKNOWN})
_REMEMBER_SECONDS = 2.0


class Guarding:
    """The watchdog's knowledge of the container, and the agent's own hand."""

    def __init__(self, tools: Tools, memory: Memory) -> None:
        self._tools = tools
        self._memory = memory

    def delay_seconds(self, wanted: Inbox | None) -> float | None:
        """After so long out of touch it may be placed elsewhere; None: this node does not guard it."""
        return wanted.heal_delay_seconds if self._memory.guarded and wanted is not None and not wanted.absent else None

    async def keep(self, wanted: Inbox | None) -> None:
        """Let the watchdog know how the container is now; then, and only then, promise to guard one that was not guarded before."""
        memory, delay = self._memory, wanted.heal_delay_seconds if wanted is not None else None
        if wanted is None or delay is None or not (memory.guarded or wanted.spec.auto_heal):
            return
        if not memory.handle or memory.observation.state not in ALIVE:
            await self._tools.guards.drop(memory.uuid)
        else:
            try:
                await self._tools.guards.tell(memory.uuid, memory.handle, memory.pid, delay)
            except ZunError as error:
                _log.error("container %s: %s", memory.uuid, error)
                return
        if not memory.guarded and not wanted.absent:
            memory.guarded = memory.observation.guarded = True
            self._tools.journal.write(memory)
            # A container that is only about to be made tells it with what comes next.
            self._tools.reporter.observe(memory.observation, lazy=not memory.handle)

    async def fence(self) -> None:
        """Stop it now: the control plane may think that this node is lost, and run it elsewhere soon."""
        memory, handle = self._memory, self._memory.handle
        if not handle or memory.observation.state not in _MAY_RUN:
            return
        _log.warning("container %s is stopped: the node is out of touch with the control plane", memory.uuid)
        memory.fenced = True
        self._tools.journal.write(memory)
        try:
            async with asyncio.timeout(_REMEMBER_SECONDS):
                await self._tools.journal.flush()
        except (ZunError, TimeoutError) as error:
            _log.warning("container %s: that it was stopped is remembered later: %s", memory.uuid, error)
        try:
            await self._tools.engine.kill(handle, "SIGKILL")
        except (NotFound, Conflict):
            return  # it does not run any more
        except ZunError as error:
            _log.error("container %s could not be stopped, the watchdog will: %s", memory.uuid, error)

    async def forget(self) -> None:
        """It is gone from here."""
        await self._tools.guards.drop(self._memory.uuid)
        await self._tools.guards.forgive(self._memory.uuid)
