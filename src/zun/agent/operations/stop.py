# SPDX-License-Identifier: Apache-2.0
"""stop: ends the process and the restart policy's work until the next start."""

from zun.agent.operations.job import Job
from zun.model.records import SeenState


async def stop(job: Job) -> None:
    """SIGTERM, and SIGKILL after the grace. A container that waits for its restart stays down."""
    job.memory.user_stopped = True
    await halt(job)
    await job.look()


async def halt(job: Job) -> None:
    """Stop the object there is; it need not run."""
    memory = job.memory
    timeout = job.intent.timeout_seconds if job.intent is not None else None
    grace = job.tools.options.stop_timeout_seconds if timeout is None else timeout
    await job.tools.engine.stop(job.existing(), grace)
    memory.due = None
    if memory.observation.state is SeenState.RESTARTING:
        memory.observation.state = SeenState.EXITED
