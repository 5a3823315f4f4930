# SPDX-License-Identifier: Apache-2.0
"""Images on hosts (for administrators), and the search in the public registry (for everybody)."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from zun.api import paging, responses
from zun.api.paging import Order, PageQuery
from zun.api.rendering import links
from zun.api.requests import Call
from zun.model import image_reference
from zun.model.container_rules import IMAGE_DRIVER, PULL_POLICY
from zun.model.errors import Invalid, Unsupported
from zun.model.fields import Field, Unknown
from zun.model.rules import NARROW_BOOLEAN, text
from zun.services.images import ImageService
from zun.services.live import LiveService
from zun.store.view import ImageEntry

COLLECTION = "images"


class NewImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image to be pulled to a host."""

    repo: Annotated[str, Field(rule=text(2, 255), required=True, nullable=False, doc="Name, may hold a tag or digest.")]
    host: Annotated[str, Field(rule=text(1, 255), required=True, nullable=False, doc="Name or uuid of the host.")]
    tag: Annotated[str | None, Field(rule=text(2, 255), doc="Tag, unless `repo` holds one.")] = None
    image_id: Annotated[str | None, Field(rule=text(2, 255), doc="Not used: the engine knows the id.")] = None
    size: Annotated[
        str | None, Field(rule=text(1, 32, pattern=r"[0-9]+[bBkKmMgG]?"), doc="Not used: the engine knows the size.")
    ] = None
    image_pull_policy: Annotated[str | None, Field(rule=PULL_POLICY, doc="When to ask the registry.")] = None


class SearchQuery(msgspec.Struct, frozen=True):
    """How to search."""

    image_driver: Annotated[str | None, Field(rule=IMAGE_DRIVER, doc="Where to search: docker.")] = None
    exact_match: Annotated[bool, Field(rule=NARROW_BOOLEAN, doc="Only images of exactly this name.")] = False


class ImageHandlers:
    """`/v1/images`."""

    def __init__(self, images: ImageService, live: LiveService) -> None:
        self._images = images
        self._live = live

    async def list(self, call: Call) -> Response:
        """A page of images."""
        query = call.query_arguments(PageQuery, code="invalid-value")
        entries = await self._images.list(call.context)
        marker = None
        if query.marker is not None:
            marker = next((entry for entry in entries if entry.wish.uuid == query.marker), None)
            if marker is None:
                raise Invalid(f"The marker {query.marker} is no image; begin again without it.", code="image-not-found")
        page = paging.select(entries, query, _ORDER, call.max_limit, marker)
        link = paging.next_link(
            page,
            last=page.items[-1].wish.uuid if page.items else "",
            url=f"{call.base_url}/v1/{COLLECTION}",
            query=call.query,
        )
        return responses.json({COLLECTION: [_view(entry, call.base_url) for entry in page.items], "next": link})

    async def show(self, call: Call) -> Response:
        """One image by uuid."""
        return responses.json(_view(await self._images.show(call.context, call.params["uuid"]), call.base_url))

    async def create(self, call: Call) -> Response:
        """Have a host pull an image; it is fetched in the background."""
        form = call.read(NewImage, await call.json_object(), unknown=Unknown.REFUSE)
        entry = await self._images.create(
            call.context, repo=form.repo, host=form.host, tag=form.tag, pull_policy=form.image_pull_policy
        )
        location = f"{call.base_url}/v1/{COLLECTION}/{entry.wish.uuid}"
        return responses.json(_view(entry, call.base_url), 202, {"Location": location})

    async def delete(self, call: Call) -> Response:
        """Have its host remove it."""
        await self._images.delete(call.context, call.params["uuid"])
        return responses.null()

    async def search(self, call: Call) -> Response:
        """Images of the public registry whose name holds `name`; a bare list."""
        query = call.query_arguments(SearchQuery, unknown=Unknown.REFUSE_QUERY)
        if query.image_driver == "glance":
            raise Unsupported("Glance is not configured in this installation; search with image_driver=docker.")
        name = call.params["name"]
        reference = image_reference.parse(name.lower())
        if reference.domain != image_reference.DEFAULT_DOMAIN:
            raise Invalid(f"Only the public registry can be searched, not {reference.domain}; leave that part out.")
        return responses.json(await self._live.search_images(call.context, name, exact=query.exact_match))


_COLUMNS: dict[str, Callable[[ImageEntry], Any]] = {
    "uuid": lambda entry: entry.wish.uuid,
    "image_id": lambda entry: (entry.observation.image_id or None) if entry.observation else None,
    "project_id": lambda entry: entry.wish.project_id,
    "repo": lambda entry: entry.wish.repo,
    "tag": lambda entry: entry.wish.tag,
    "size": lambda entry: str(entry.observation.size) if entry.observation and entry.observation.size else None,
    "host": lambda entry: entry.wish.node,
    "status": lambda entry: entry.observation.state if entry.observation else "pulling",
    "status_reason": lambda entry: (
        (entry.observation.error or entry.observation.progress or None) if entry.observation else None
    ),
}
_ORDER: Order[ImageEntry] = Order(_COLUMNS, lambda entry: (entry.wish.created_at, entry.wish.uuid))


def _view(entry: ImageEntry, base_url: str) -> dict[str, Any]:
    view: dict[str, Any] = {name: read(entry) for name, read in _COLUMNS.items()}
    return view | {"links": links(base_url, COLLECTION, entry.wish.uuid)}
