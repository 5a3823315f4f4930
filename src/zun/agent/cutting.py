# SPDX-License-Identifier: Apache-2.0
"""Waiting for a step that a newer wish may cut short."""

import asyncio
from collections.abc import Callable


async def until_done(task: "asyncio.Task[None]", is_cut: Callable[[], bool]) -> bool:
    """Wait for a step that may be cancelled because of a newer wish; whether it was, which `is_cut` tells.

    Who is cancelled himself stays so, also when the step swallowed that while it was being cut short. The step has ended in any case.
    """
    was_cut = False
    try:
        await task
    except asyncio.CancelledError:
        if not is_cut() or _is_being_cancelled():
            raise
        was_cut = True
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    if _is_being_cancelled():
        raise asyncio.CancelledError
    return was_cut


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
