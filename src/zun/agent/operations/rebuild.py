# SPDX-License-Identifier: Apache-2.0
"""rebuild: a new object from the (perhaps new) image, with the same name, networks, volumes and files."""

from zun.agent.operations.job import Job
from zun.agent.operations.making import fetch_image, make, unmake
from zun.agent.operations.start import launch


async def rebuild(job: Job) -> None:
    """The image comes first: when it cannot be had, the old object stays. Runs again if it ran when the request came."""
    await fetch_image(job)
    await unmake(job)
    await make(job, with_image=False)
    if job.intent is not None and job.intent.run:
        await launch(job)
    else:
        await job.look()


async def heal(job: Job) -> None:
    """Make the vanished object again; it runs if it ran."""
    ran = job.memory.ran
    restarts = job.memory.observation.restarts
    try:
        await make(job)
    except BaseException:
        job.memory.ran = ran
        raise
    if ran:
        await launch(job)
        job.memory.observation.restarts = restarts
    else:
        await job.look()
