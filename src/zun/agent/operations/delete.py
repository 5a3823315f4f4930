# SPDX-License-Identifier: Apache-2.0
"""delete: the object and its files go; volumes with a name stay."""

from zun.agent.memory import ALIVE
from zun.agent.operations.job import Job
from zun.agent.operations.making import unmake
from zun.agent.operations.stop import halt
from zun.model.attachments import sandbox_key
from zun.model.records import SeenState


async def delete(job: Job) -> None:
    """Remove it, stopping it first if asked to. Nothing left to remove is no error."""
    intent = job.intent
    if intent is not None and intent.stop and job.memory.handle and job.memory.observation.state in ALIVE:
        await halt(job)
    await erase(job)


async def erase(job: Job) -> None:
    """Remove the object, its network and the files; what was seen last (exit code, times) stays readable."""
    await unmake(job)
    await job.tools.plugs.release(sandbox_key(job.uuid, job.memory.observation.generation))
    await job.tools.files.remove(job.uuid)
    job.memory.observation.state = SeenState.GONE
    job.memory.observation.reason = ""
    job.memory.ran, job.memory.healed_at, job.memory.resume = False, 0.0, None
