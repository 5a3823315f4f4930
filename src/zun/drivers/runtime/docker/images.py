# SPDX-License-Identifier: Apache-2.0
"""Images of a Docker engine: the `Images` part of the port."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from zun.drivers.runtime import labels
from zun.drivers.runtime.docker import seen
from zun.drivers.runtime.docker.engine import Engine
from zun.drivers.runtime.docker.errors import from_engine
from zun.drivers.runtime.docker.request import image as full_name
from zun.drivers.runtime.types import Credentials, ImageInfo, PullProgress
from zun.model import image_reference
from zun.model.errors import NotFound, Unavailable

_SEARCH_LIMIT = "100"
_SEARCH_SECONDS = 30.0
_ANSWER_SECONDS = 300.0
_STREAM_ERROR = 500


class DockerImages:
    """Implements `Images` on a Docker engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, reference: str) -> ImageInfo:
        """The image if it is here."""
        told = await self._engine.call("GET", f"images/{_in_path(reference)}/json", f"find the image {reference}")
        return seen.image(told)

    async def pull(
        self, reference: str, credentials: Credentials | None, progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        """Fetch it, telling how far it is."""
        parsed = image_reference.parse(reference)
        params = {"fromImage": parsed.name, "tag": parsed.digest or parsed.tag or image_reference.DEFAULT_TAG}
        headers = {"X-Registry-Auth": _auth(credentials)} if credentials is not None else None
        doing = f"pull {reference}"
        layers = _Layers()
        async with self._engine.stream(
            "POST",
            "images/create",
            doing,
            params=params,
            headers=headers,
            idle_seconds=self._engine.options.idle_seconds,
            answer_seconds=_ANSWER_SECONDS,
        ) as incoming:
            async for line in incoming.lines():
                if "error" in line:
                    raise from_engine(_STREAM_ERROR, str(line["error"]), doing)
                progress(layers.take(line))
        try:
            return await self.find(parsed.canonical())
        except NotFound as error:
            raise Unavailable(f"The pull of {reference} broke off before it was complete; try again.") from error

    async def remove(self, reference: str) -> None:
        """Remove it; absent is no error."""
        try:
            await self._engine.call("DELETE", f"images/{_in_path(reference)}", f"remove the image {reference}")
        except NotFound:
            return

    async def commit(self, handle: str, repository: str, tag: str) -> ImageInfo:
        """Make an image of a container's file system; our labels stay behind."""
        target = image_reference.parse(f"{repository}:{tag}")
        params = {
            "container": handle,
            "repo": target.name,
            "tag": target.tag or image_reference.DEFAULT_TAG,
            "pause": "1",
            "changes": labels.erased(),
        }
        made = await self._engine.call(
            "POST", "commit", "commit the container", params=params, seconds=self._engine.options.commit_seconds
        )
        return await self.find(made["Id"])

    async def search(self, term: str, *, exact: bool) -> list[dict[str, object]]:
        """Images of the public registry."""
        found = await self._engine.call(
            "GET",
            "images/search",
            f"search the public registry for {term}",
            params={"term": term, "limit": _SEARCH_LIMIT},
            seconds=_SEARCH_SECONDS,
        )
        return [_found(one) for one in found or () if not exact or one.get("name") == term]


class _Layers:
    """Adds up what the engine tells of each layer."""

    def __init__(self) -> None:
        self._sizes: dict[str, tuple[int, int]] = {}

    def take(self, line: dict[str, Any]) -> PullProgress:
        layer, status, detail = line.get("id", ""), line.get("status", ""), line.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self._sizes[layer] = (detail.get("current", 0), detail["total"])
        elif status in {"Download complete", "Pull complete"} and layer in self._sizes:
            self._sizes[layer] = (self._sizes[layer][1],) * 2
        text = f"{layer}: {status}" if layer else status
        current = sum(size[0] for size in self._sizes.values())
        return PullProgress(text, current, sum(size[1] for size in self._sizes.values()))


def _auth(credentials: Credentials) -> str:
    told = {"username": credentials.username, "password": credentials.password, "serveraddress": credentials.server}
    return base64.urlsafe_b64encode(msgspec.json.encode(told)).decode()


def _in_path(reference: str) -> str:
    return quote(full_name(reference), safe="/:@")


def _found(told: dict[str, Any]) -> dict[str, object]:
    metadata = {key: told.get(key) for key in ("is_official", "is_automated", "star_count")}
    return {"name": told.get("name", ""), "description": told.get("description", ""), "metadata": metadata}
