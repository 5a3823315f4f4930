# SPDX-License-Identifier: Apache-2.0
"""delete: the object and its files go; volumes with a name stay."""

from zun.agent.memory import ALIVE
from zun.agent.operations.job import Job
from zun.agent.operations.making import unmake
from zun.agent.operations.stop import halt
from zun.base.backoff import Backoff
from zun.model.attachments import sandbox_key
from zun.model.errors import Internal, Timeout, Unavailable
from zun.model.records import SeenState

_AGAIN = Backoff(first_seconds=1.0, cap_seconds=15.0)
"""An engine that is away, or fails, is asked again, without end."""


async def delete(job: Job) -> None:
    """Remove it, stopping it first if asked to. Nothing left to remove is no error.

    Who asked was told that it goes, and may never look again: so an engine that does not answer is waited for, however long, and one that
    fails (Docker, when its containerd was killed: "did not receive an exit event") is asked again.
    """
    failures = 0
    while True:
        try:
            return await _delete_once(job)
        except (Unavailable, Timeout, Internal) as error:
            job.memory.observation.error = error.message  # shown beside Deleting; success clears it
            job.tell()
        await job.tools.clock.sleep(_AGAIN.delay(failures))
        failures += 1


async def _delete_once(job: Job) -> None:
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
