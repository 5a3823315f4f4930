# SPDX-License-Identifier: Apache-2.0
"""pause and unpause: freeze and thaw."""

from zun.agent.operations.job import Job
from zun.model.records import SeenState


async def pause(job: Job) -> None:
    """Freeze it; one that was frozen before a crash of ours is left so."""
    if not (job.resumed and job.memory.observation.state is SeenState.PAUSED):
        await job.tools.engine.pause(job.existing())
    await job.look()


async def unpause(job: Job) -> None:
    """Thaw it; one that was thawed before a crash of ours is left so."""
    if not (job.resumed and job.memory.observation.state is not SeenState.PAUSED):
        await job.tools.engine.unpause(job.existing())
    await job.look()
