# SPDX-License-Identifier: Apache-2.0
"""resize: new limits for cpu and memory, while it runs."""

from zun.agent.operations.job import Job


async def resize(job: Job) -> None:
    """Give it what the leader granted. Without an object there is nothing to do: it is made with these limits."""
    claim = job.wanted.claim
    if job.memory.handle:
        await job.tools.engine.update(
            job.memory.handle,
            cpu=claim.millicpus / 1000 if claim.millicpus else None,
            memory_mib=claim.memory_mib or None,
            cpuset=claim.cpuset or job.tools.engine.shared_cpus,
        )
        await job.look()
