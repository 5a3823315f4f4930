# SPDX-License-Identifier: Apache-2.0
"""Made-up images and a made-up registry: the `Images` part of the port."""

from collections.abc import Callable

import msgspec

from zun.drivers.runtime.fake.engine import FakeEngine, RemoteImage
from zun.drivers.runtime.types import Credentials, ImageInfo, PullProgress
from zun.model import image_reference
from zun.model.errors import Conflict, Denied, NotFound


class FakeImages:
    """Implements `Images` on a fake engine."""

    def __init__(self, engine: FakeEngine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    async def find(self, reference: str) -> ImageInfo:
        """The image if it is here."""
        await self._engine.faults.before("find")
        return self._known(reference)

    async def pull(
        self, reference: str, credentials: Credentials | None, progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        """Fetch it from the made-up registry."""
        await self._engine.faults.before("pull")
        key = _key(reference)
        remote = self._engine.remote_images.get(key) or self._engine.remote_images.get(key.partition("@")[2])
        if remote is None:
            if not self._engine.any_image:
                raise NotFound(f"There is no image {reference} in its registry; check its name and tag.")
            remote = RemoteImage(self._engine.images.get(key) or self._engine.make_image(reference))
        given = (credentials.username, credentials.password) if credentials else ("", "")
        if remote.password and given != (remote.username, remote.password):
            raise Denied(f"The registry refuses to give {reference}; check the username and password.")
        progress(PullProgress("Downloading", 0, remote.info.size))
        progress(PullProgress("Downloaded", remote.info.size, remote.info.size))
        self._engine.keep_image(key, remote.info)
        self._engine.faults.after("pull")
        return remote.info

    async def remove(self, reference: str) -> None:
        """Remove it; absent is fine."""
        await self._engine.faults.before("image_remove")
        images = self._engine.images
        image = images.get(_key(reference))
        if image is None:
            return
        if any(container.image.id == image.id for container in self._engine.containers.values()):
            raise Conflict(f"A container uses the image {reference}; remove the container first.")
        for key in [key for key, known in images.items() if known.id == image.id]:
            del images[key]
        self._engine.faults.after("image_remove")

    async def commit(self, handle: str, repository: str, tag: str) -> ImageInfo:
        """Make an image of its files."""
        await self._engine.faults.before("commit")
        container = self._engine.container(handle, self._owner)
        reference = image_reference.parse(f"{repository}:{tag}").canonical()
        base = container.image
        image = msgspec.structs.replace(
            base, id=f"sha256:{self._engine.new_id()}", tags=(reference,), digests=(), command=container.request.command or base.command,
        )  # fmt: skip
        self._engine.keep_image(reference, image)
        self._engine.image_files[image.id] = container.files.copy()
        self._engine.faults.after("commit")
        return image

    async def search(self, term: str, *, exact: bool) -> list[dict[str, object]]:
        """What the made-up registry has."""
        await self._engine.faults.before("search")
        found: list[dict[str, object]] = []
        for key in self._engine.remote_images:
            name = key.rpartition(":")[0].removeprefix("docker.io/").removeprefix("library/")
            if name == term or (not exact and term in name):
                found.append({"name": name, "description": "An image of the fake registry.", "metadata": {}})
        return found

    def _known(self, reference: str) -> ImageInfo:
        key = _key(reference)
        image = self._engine.images.get(key) or self._engine.images.get(key.partition("@")[2])
        if image is None:
            raise NotFound(f"The engine does not have the image {reference}; pull it first.")
        return image


def _key(reference: str) -> str:
    if reference.startswith("sha256:"):
        return reference
    return image_reference.parse(reference).canonical()
