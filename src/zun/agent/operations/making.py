# SPDX-License-Identifier: Apache-2.0
"""Making a container's object: image, files, object. Create, rebuild, healing and a start without object share it."""

from zun.agent.operations.job import Job
from zun.agent.request import image_of
from zun.drivers.runtime.types import ImageInfo
from zun.model.records import ImageSource, SeenState


async def fetch_image(job: Job) -> ImageInfo:
    """The image is here; what it says of itself is remembered."""
    observation = job.memory.observation
    source = job.wanted.image_source or ImageSource(reference=image_of(job.wanted))
    before = observation.reason
    with job.steps.step("image"):
        try:
            image = await job.tools.images.ensure(source, job.login, job.pulling)
        finally:
            observation.pulling, observation.reason = False, before
    observation.image_command = image.command
    observation.image_entrypoint = image.entrypoint
    observation.image_workdir = image.workdir
    return image


async def make(job: Job, *, with_image: bool = True) -> None:
    """Make the object, not started. Doing it again finds what is there."""
    if with_image:
        await fetch_image(job)
    with job.steps.step("create"):
        files = job.wanted.files
        paths = await job.tools.files.place(job.uuid, await job.blobs(), files) if files else {}
        await job.prepare_network()
        handle = await job.tools.engine.create(job.request(paths))
    observation = job.memory.observation
    observation.runtime_id = handle
    observation.state, observation.reason = SeenState.CREATED, ""
    observation.exit_code = observation.started_at = observation.finished_at = None
    job.memory.ran, job.memory.due = False, None
    if observation.created_at is None:
        observation.created_at = job.tools.clock.now()


async def unmake(job: Job) -> None:
    """Remove the object, if there is one; its files and volumes stay."""
    handle = await job.find_handle()
    if handle:
        await job.tools.engine.remove(handle)
    observation = job.memory.observation
    observation.runtime_id = ""
    observation.created_at = None
    observation.addresses, observation.ports, observation.health = [], [], None
    observation.state = SeenState.ABSENT
    job.memory.due = None
