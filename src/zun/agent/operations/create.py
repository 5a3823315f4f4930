# SPDX-License-Identifier: Apache-2.0
"""create: image, files, object."""

from zun.agent.operations.job import Job
from zun.agent.operations.making import make


async def create(job: Job) -> None:
    """Make it. When its start follows at once, the look after that start serves both."""
    await make(job)
    if not job.start_follows:
        await job.look()
