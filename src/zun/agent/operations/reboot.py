# SPDX-License-Identifier: Apache-2.0
"""reboot: stop, then start."""

from zun.agent.memory import ALIVE
from zun.agent.operations.job import Job
from zun.agent.operations.start import start
from zun.agent.operations.stop import halt


async def reboot(job: Job) -> None:
    """Stop it if it runs, and start it; one that does not run is only started."""
    if job.memory.handle and (job.memory.observation.state in ALIVE or job.resumed):
        await halt(job)
    await start(job)
