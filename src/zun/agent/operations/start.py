# SPDX-License-Identifier: Apache-2.0
"""start, by its user or by the agent."""

from zun.agent.operations.job import Job
from zun.agent.operations.making import make
from zun.agent.touch import OutOfTouch
from zun.model.errors import NotFound, ZunError
from zun.model.records import SeenState


async def start(job: Job) -> None:
    """Start it; without an object (its creation failed, or it vanished) make it first. Restart counts begin anew."""
    if not await job.find_handle():
        await make(job)
    try:
        await launch(job)
    except NotFound:
        await job.look()
        if job.memory.handle:
            raise
        await make(job)
        await launch(job)
    job.memory.user_stopped = False


async def launch(job: Job) -> None:
    """Start the object there is, and look."""
    memory = job.memory
    memory.user_stopped, memory.attempts, memory.observation.restarts = False, 0, 0
    await run_object(job)


async def run_object(job: Job) -> None:
    """Start the object without touching the counts."""
    memory = job.memory
    ran = memory.ran
    with job.steps.step("start"):
        memory.due = None
        try:
            await _start_when_allowed(job)
        except NotFound:
            raise
        except ZunError:
            memory.ran = ran
            await _look_after_failure(job)
            raise
        # It runs now, or ran and ended already: either way its end is one that the restart policy is asked about.
        memory.ran = True
        memory.fenced = False
        await job.tools.guards.forgive(job.uuid)
        if memory.observation.state is not SeenState.RESTARTING:
            memory.observation.state = SeenState.CREATED
        await job.look()


async def _start_when_allowed(job: Job) -> None:
    """Only a node in touch with the control plane starts anything; and what it may have to stop, its watchdog knows before."""
    touch, delay = job.tools.touch, job.guard_seconds
    while True:
        await touch.permission(delay)
        if delay is not None:
            await job.tools.guards.tell(job.uuid, job.existing(), 0, delay)
        try:
            await job.tools.engine.start(job.existing(), lambda: touch.check(delay))
        except OutOfTouch:
            continue
        return


async def _look_after_failure(job: Job) -> None:
    """The failure is what counts; that the engine does not answer now changes nothing about it."""
    try:
        await job.look()
    except ZunError:
        return
