# SPDX-License-Identifier: Apache-2.0
"""Images of a CRI engine: the `Images` part of the port.

The CRI knows no single names: asked to remove one tag it removes the image with all of them. So one name of several is taken away
through containerd itself, and an image that a container uses, which the engine would remove as well, is guarded here.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.calls import ContainerdCalls, ImageCalls, RuntimeCalls
from zun.drivers.runtime.types import Credentials, ImageInfo, PullProgress
from zun.model import image_reference
from zun.model.errors import Conflict, NotFound, Timeout, Unavailable, Unsupported

_ID_PREFIX = "sha256:"
_PROGRESS_SECONDS = 0.5
_DOCKER_HUB = "registry-1.docker.io"
_SETTLING = Backoff(first_seconds=0.005, cap_seconds=0.25, attempts=15)
"""The CRI plugin hears of a removed name from containerd, a moment later."""


class CriImages:
    """Implements `Images` on a CRI engine."""

    def __init__(
        self,
        runtime: RuntimeCalls,
        images: ImageCalls,
        containerd: ContainerdCalls,
        clock: Clock,
        *,
        pull_seconds: float,
    ) -> None:
        self._runtime = runtime
        self._images = images
        self._containerd = containerd
        self._clock = clock
        self._pull_seconds = pull_seconds
        self._pulls = 0

    async def find(self, reference: str) -> ImageInfo:
        """The image if it is here."""
        return (await self.look(reference))[0]

    async def look(self, reference: str) -> tuple[ImageInfo, tuple[str, ...]]:
        """The image if it is here, and the directories it declares as volumes. Raises `NotFound`, `Invalid`."""
        told = await self._status(_full(reference), verbose=True)
        if not told.HasField("image"):
            raise NotFound(f"The image {reference} is not on this node; pull it first.")
        config = (json.loads(told.info.get("info") or "{}").get("imageSpec") or {}).get("config") or {}
        return _info(told.image, config), tuple(sorted(config.get("Volumes") or {}))

    async def pull(
        self, reference: str, credentials: Credentials | None, progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        """Fetch it. The engine tells bytes, but not whose: they are passed on while this is the only pull."""
        parsed = image_reference.parse(reference)
        request = cri.PullImageRequest(image=cri.ImageSpec(image=parsed.canonical()), auth=_auth(parsed, credentials))
        progress(PullProgress(f"Pulling {reference}"))
        self._pulls += 1
        pulling = asyncio.ensure_future(self._images.pull(request, f"pull {reference}", seconds=self._pull_seconds))
        try:
            while not (await asyncio.wait({pulling}, timeout=_PROGRESS_SECONDS))[0]:
                await self._tell(reference, progress)
            await pulling
        finally:
            self._pulls -= 1
            pulling.cancel()
            await asyncio.gather(pulling, return_exceptions=True)
        try:
            return await self.find(parsed.canonical())
        except NotFound as error:
            raise Unavailable(f"The image {reference} was removed while it was pulled; try again.") from error

    async def remove(self, reference: str) -> None:
        """Remove one name of it, and with its last name the image; absent is no error."""
        name = _full(reference)
        told = await self._status(name)
        if not told.HasField("image"):
            return
        image = told.image
        kept = [tag for tag in image.repo_tags if tag != name]
        if name.startswith(_ID_PREFIX) or not kept:
            await self._check_unused(image, reference)
            await self._images.remove(
                cri.RemoveImageRequest(image=cri.ImageSpec(image=image.id)), f"remove the image {reference}"
            )
            return
        for one in _names_to_remove(name, image, kept):
            await self._remove_name(one)
        await self._wait_until_unnamed(name)

    async def commit(self, handle: str, repository: str, tag: str) -> ImageInfo:  # noqa: ARG002 - as the port has it
        """Lacking."""
        raise Unsupported("This engine cannot make an image of a container.")

    async def search(self, term: str, *, exact: bool) -> list[dict[str, object]]:  # noqa: ARG002
        """Lacking."""
        raise Unsupported("This engine cannot search a registry; name the image you want.")

    async def _status(self, name: str, *, verbose: bool = False) -> cri.ImageStatusResponse:
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=name), verbose=verbose)
        return await self._images.status(request, f"find the image {name}")

    async def _tell(self, reference: str, progress: Callable[[PullProgress], None]) -> None:
        if self._pulls > 1:
            return
        try:
            told = await self._containerd.ingests(cd.ListStatusesRequest(), "tell how far a pull is")
        except (Unavailable, Timeout):
            return  # the pull itself will say what is wrong
        layers = [one for one in told.statuses if one.total > 0]
        if layers:
            current, total = sum(one.offset for one in layers), sum(one.total for one in layers)
            progress(PullProgress(f"Pulling {reference}: {len(layers)} parts in work", current, total))

    async def _check_unused(self, image: cri.Image, reference: str) -> None:
        told = await self._runtime.list_containers(cri.ListContainersRequest(), "list the containers")
        names = {image.id, *image.repo_tags, *image.repo_digests}
        users = [one.id for one in told.containers if {one.image_ref, one.image.image} & names]
        if users:
            raise Conflict(
                f"{len(users)} container(s) are made from the image {reference}; remove them first, then the image."
            )

    async def _remove_name(self, name: str) -> None:
        try:
            await self._containerd.delete_image(cd.DeleteImageRequest(name=name, sync=True), f"remove the name {name}")
        except NotFound:
            return

    async def _wait_until_unnamed(self, name: str) -> None:
        for delay in _SETTLING.delays():
            told = await self._status(name)
            if not told.HasField("image") or name not in (*told.image.repo_tags, *told.image.repo_digests):
                return
            await self._clock.sleep(delay)
        raise Timeout(f"The engine still shows the name {name}, though it was removed; look again in a moment.")


def _full(reference: str) -> str:
    """An image as the engine is asked for it: an id as it is, a name in full. Raises `Invalid`."""
    return reference if reference.startswith(_ID_PREFIX) else image_reference.parse(reference).canonical()


def _names_to_remove(name: str, image: cri.Image, kept: list[str]) -> list[str]:
    """The name itself, and what it brought along: the digests of its repository, when no other tag of that is left."""
    repository = name.partition("@")[0] if "@" in name else name.rpartition(":")[0]
    if any(tag.rpartition(":")[0] == repository for tag in kept):
        return [name]
    return [name, *(one for one in image.repo_digests if one.partition("@")[0] == repository and one != name)]


def _auth(parsed: image_reference.ImageReference, credentials: Credentials | None) -> cri.AuthConfig | None:
    """A login, bound to the registry the image comes from: the engine hands it to no other server, mirrors included."""
    if credentials is None:
        return None
    host = _DOCKER_HUB if parsed.domain == image_reference.DEFAULT_DOMAIN else parsed.domain
    return cri.AuthConfig(
        username=credentials.username, password=credentials.password, server_address=f"https://{host}"
    )


def _info(image: cri.Image, config: dict[str, Any]) -> ImageInfo:
    return ImageInfo(
        id=image.id,
        tags=tuple(image.repo_tags),
        digests=tuple(image.repo_digests),
        size=image.size,
        command=config.get("Cmd") or None,
        entrypoint=config.get("Entrypoint") or None,
        workdir=config.get("WorkingDir") or None,
        exposed_ports=tuple(sorted(config.get("ExposedPorts") or {})),
    )
