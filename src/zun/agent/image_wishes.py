# SPDX-License-Identifier: Apache-2.0
"""Images that operators want on this node: pulled, removed, and told about. One task per image, the newest wish counts."""

import asyncio
import logging
from typing import NoReturn

from zun.agent.home import Home
from zun.agent.images import Images
from zun.agent.reporter import Reporter
from zun.base.clock import Clock
from zun.base.request_scope import in_request
from zun.drivers.runtime.types import Credentials, PullProgress
from zun.model.errors import Conflict, ZunError
from zun.model.records import ImageObservation, ImageWish
from zun.store.nodelink import InboxBatch

_log = logging.getLogger(__name__)

PULLING, READY, ERROR, GONE = "pulling", "ready", "error", "gone"
PROGRESS_SECONDS = 2.0


class ImageWishes:
    """Makes image wishes true."""

    def __init__(self, images: Images, reporter: Reporter, clock: Clock) -> None:
        self._images = images
        self._reporter = reporter
        self._clock = clock
        self._known: dict[str, ImageWish] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._home = Home()

    async def run(self) -> NoReturn:
        """Give the work a home; runs until cancelled."""
        await self._home.run()

    def recover(self, batch: InboxBatch, told: dict[str, ImageObservation]) -> None:
        """Go on where an earlier life ended: what is ready stays so, what nobody wishes any more is forgotten."""
        committing = {
            intent.image_uuid for inbox in batch.containers.values() if inbox is not None for intent in inbox.intents
        }
        for uuid in told.keys() - batch.images.keys() - batch.damaged:
            self._reporter.forget(uuid)
        for uuid, wish in batch.images.items():
            if wish is None:
                continue
            self._known[uuid] = wish
            settled = uuid in told and told[uuid].state in {READY, ERROR} and not wish.absent
            if settled or (wish.committed and not wish.absent and uuid in committing):
                continue
            self._begin(wish)

    def apply(self, batch: InboxBatch) -> None:
        """Take changes of the inbox."""
        for uuid, wish in batch.images.items():
            if wish is None:
                self._forget(uuid)
            elif self._known.get(uuid) != wish:
                self._known[uuid] = wish
                if not wish.committed or wish.absent:
                    self._begin(wish)
        if batch.snapshot:
            for uuid in self._known.keys() - batch.images.keys() - batch.damaged:
                self._forget(uuid)

    def _forget(self, uuid: str) -> None:
        self._known.pop(uuid, None)
        task = self._tasks.pop(uuid, None)
        if task is not None:
            task.cancel()
        self._reporter.forget(uuid)

    def _begin(self, wish: ImageWish) -> None:
        before = self._tasks.get(wish.uuid)
        if before is not None:
            before.cancel()
        self._tasks[wish.uuid] = self._home.begin(self._make_true(wish), f"image {wish.source.reference}")

    async def _make_true(self, wish: ImageWish) -> None:
        with in_request(wish.request_id):
            await self._attempt(wish)

    async def _attempt(self, wish: ImageWish) -> None:
        try:
            if wish.absent:
                await self._remove(wish)
            elif wish.committed:
                await self._confirm(wish)
            else:
                await self._pull(wish)
        except ZunError as error:
            _log.warning("image %s: %s", wish.source.reference, error)
            self._tell(wish, ERROR, error=error.message)

    async def _remove(self, wish: ImageWish) -> None:
        others = [
            other
            for other in self._known.values()
            if other.uuid != wish.uuid and not other.absent and other.source.reference == wish.source.reference
        ]
        if not others:
            try:
                await self._images.remove(wish.source.reference)
            except Conflict as error:
                # Containers keep their image; that nobody wishes it for itself any more is true all the same.
                _log.info("image %s stays, a container uses it: %s", wish.source.reference, error)
        self._tell(wish, GONE)
        _log.info("image %s is gone", wish.source.reference)

    async def _confirm(self, wish: ImageWish) -> None:
        found = await self._images.find(wish.source.reference)
        if found is None:
            self._tell(wish, ERROR, error="The commit that was to make this image did not end well; commit again.")
        else:
            self._tell(wish, READY, image_id=found.id, size=found.size)

    async def _pull(self, wish: ImageWish) -> None:
        told_at = self._clock.monotonic()

        def progress(step: PullProgress) -> None:
            nonlocal told_at
            if self._clock.monotonic() - told_at >= PROGRESS_SECONDS:
                told_at = self._clock.monotonic()
                self._tell(wish, PULLING, progress=step.text)

        self._tell(wish, PULLING)
        found = await self._images.ensure(wish.source, _no_login, progress)
        self._tell(wish, READY, image_id=found.id, size=found.size)
        _log.info("image %s is here", wish.source.reference)

    def _tell(
        self, wish: ImageWish, state: str, *, image_id: str = "", size: int = 0, error: str = "", progress: str = ""
    ) -> None:
        observation = ImageObservation(
            wish.uuid, state, image_id=image_id, size=size, error=error, progress=progress, at=self._clock.now()
        )
        self._reporter.image(observation, lazy=state == PULLING)


async def _no_login() -> Credentials | None:
    """Operators' images come from registries that need none."""
    return None
