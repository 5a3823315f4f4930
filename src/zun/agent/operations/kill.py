# SPDX-License-Identifier: Apache-2.0
"""kill: a signal, sent once and never again."""

from zun.agent.operations.job import Job
from zun.model.errors import ZunError
from zun.model.records import SeenState

_ENDS = frozenset({"SIGKILL", "SIGTERM"})
"""Who sends one of these wants the container down: the restart policy does not bring it back."""


async def kill(job: Job) -> None:
    """Send the signal and see what became of it; a process may survive it."""
    signal = (job.intent.signal if job.intent is not None else None) or "SIGKILL"
    memory = job.memory
    before = memory.user_stopped
    memory.user_stopped = before or signal in _ENDS
    handle = job.existing()
    if memory.observation.state is SeenState.RESTARTING:
        memory.due = None
        memory.observation.state = SeenState.EXITED
    else:
        try:
            await job.tools.engine.kill(handle, signal)
        except ZunError:
            memory.user_stopped = before
            raise
    await job.look()
