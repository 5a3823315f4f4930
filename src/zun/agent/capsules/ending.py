# SPDX-License-Identifier: Apache-2.0
"""What runs of a capsule gets to end in, before all of it is removed."""

import asyncio
import math

from zun.agent.memory import Memory
from zun.agent.tools import Tools
from zun.base.side_by_side import side_by_side
from zun.model.children import MAX_CHILDREN
from zun.model.errors import NotFound
from zun.model.records import Intent, SeenState

_TO_KILL_SECONDS = 5.0
"""What an engine gets to kill what did not end."""


async def let_end(tools: Tools, memory: Memory, intent: Intent) -> None:
    """SIGTERM to all containers, side by side, and SIGKILL after the grace that the deletion grants.

    When the grace is over is written down first: neither a crash nor an engine that fails makes it longer. Once it is, nothing is done here,
    for the removal that follows kills what still runs. Raises what the engine does, and `Unavailable` for a disk that takes nothing.
    """
    if not intent.stop:
        return
    grace = intent.timeout_seconds if intent.timeout_seconds is not None else tools.options.stop_timeout_seconds
    now = tools.clock.now()
    if memory.grace_until is None:
        memory.grace_until = now + grace
        await tools.journal.commit(memory)
    left = math.ceil(min(grace, memory.grace_until - now))
    if left <= 0:
        return

    async def stop(handle: str) -> None:
        try:
            await tools.engine.stop(handle, left)
        except NotFound:
            return

    try:
        async with asyncio.timeout(left + _TO_KILL_SECONDS):
            await side_by_side(_to_end(tools, memory), stop, at_once=MAX_CHILDREN)
    except TimeoutError:
        return  # the engine was away in between, and gave them the grace again


def _to_end(tools: Tools, memory: Memory) -> list[str]:
    """All that may run: a container was perhaps started since it was looked at last, and to stop what has ended is no error."""
    handles = (one.handle for one in memory.children if one.observation.state is not SeenState.EXITED)
    return [handle for handle in handles if handle and not tools.known_store.keeps(handle)]
