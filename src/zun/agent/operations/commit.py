# SPDX-License-Identifier: Apache-2.0
"""commit: an image of the container as it is."""

from typing import Any

from zun.agent.operations.job import Job
from zun.model.errors import ZunError
from zun.model.records import ImageObservation

DEFAULT_TAG = "latest"


async def commit(job: Job) -> dict[str, Any]:
    """Make the image; the image record that the request made learns how it went."""
    intent = job.intent
    assert intent is not None  # noqa: S101 - nobody commits unasked
    try:
        image = await job.tools.engine.commit(job.existing(), intent.repository or "", intent.tag or DEFAULT_TAG)
    except ZunError as error:
        tell_image(job, "error", error=error.message)
        raise
    tell_image(job, "ready", image_id=image.id, size=image.size)
    return {"image_id": image.id, "size": image.size}


def tell_image(job: Job, state: str, *, image_id: str = "", size: int = 0, error: str = "") -> None:
    """Report about the image the intent names, if it names one."""
    if job.intent is not None and job.intent.image_uuid:
        observation = ImageObservation(
            job.intent.image_uuid, state, image_id=image_id, size=size, error=error, at=job.tools.clock.now()
        )
        job.tools.reporter.image(observation)
