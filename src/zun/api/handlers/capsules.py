# SPDX-License-Identifier: Apache-2.0
"""Capsules (groups of containers that share an address): create from a template, list, show, delete.

Their containers are containers: logs, execute, attach and so on are at `/v1/containers/{uuid of the container}`.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from zun.api import paging, responses
from zun.api.capsule_rendering import CapsuleViewer
from zun.api.paging import ALL_PROJECTS, Order, PageQuery
from zun.api.requests import Call
from zun.base.ids import canonical_uuid
from zun.model.capsule_template import TEMPLATE, parse_template
from zun.model.capsule_view import KEYS
from zun.model.container_view import Snapshot
from zun.model.errors import NotFound
from zun.model.fields import Bounds, Field, Unknown
from zun.model.rules import LIST_BOOLEAN, WIDE_BOOLEAN
from zun.policy.enforcer import Policy
from zun.services.capsules import CapsuleService
from zun.store.view import ContainerEntry, View

COLLECTION = "capsules"


class NewCapsule(msgspec.Struct, frozen=True):
    """Of a creation."""

    template: Annotated[
        Any,
        Field(
            rule=TEMPLATE,
            required=True,
            nullable=False,
            doc="What to run: an object, or the same as text in JSON or YAML.",
        ),
    ]


class CapsuleListQuery(PageQuery, frozen=True):
    """Query of a list."""

    all_projects: Annotated[bool, ALL_PROJECTS] = False


class CapsuleQuery(msgspec.Struct, frozen=True):
    """Query of one capsule."""

    all_projects: Annotated[bool, Field(rule=LIST_BOOLEAN, doc="Look in every project; for administrators.")] = False


class CapsuleDeleteQuery(msgspec.Struct, frozen=True):
    """Query of a deletion."""

    all_projects: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Look in every project; for administrators.")] = False
    force: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Kill what runs at once, without any grace.")] = False


class CapsuleHandlers:
    """`/v1/capsules` and `/v1/capsules/{ident}`."""

    def __init__(
        self, capsules: CapsuleService, view: View, policy: Policy, viewer: CapsuleViewer, bounds: Bounds
    ) -> None:
        self._capsules = capsules
        self._view = view
        self._policy = policy
        self._viewer = viewer
        self._bounds = bounds
        keys = {key.name: _reader(key.value, viewer) for key in KEYS if not key.policy}
        self._order: Order[ContainerEntry] = Order(keys, lambda entry: (entry.created_at, entry.uuid))

    async def list(self, call: Call) -> Response:
        """A page of capsules."""
        query = call.query_arguments(CapsuleListQuery, code="invalid-value")
        entries = await self._capsules.list(call.context, all_projects=query.all_projects)
        call.exchange.stale_since = self._view.stale_since
        marker = self._marker(query.marker, entries)
        page = paging.select(entries, query, self._order, call.max_limit, marker, ordered=True)
        items = b",".join(self._rendered(call, entry) for entry in page.items)
        last = page.items[-1].uuid if page.items else ""
        link = paging.next_link(page, last=last, url=f"{call.base_url}/v1/{COLLECTION}", query=call.query)
        return responses.raw_json(b'{"capsules":[%b],"next":%b}' % (items, responses.encode(link)))

    async def create(self, call: Call) -> Response:
        """Accept a capsule; it is made in the background."""
        form = call.read(NewCapsule, await call.json_object(), unknown=Unknown.REFUSE)
        request = parse_template(form.template, self._bounds)
        entry = await self._capsules.create(call.context, request)
        location = f"{call.base_url}/v1/{COLLECTION}/{entry.uuid}"
        return responses.raw_json(self._rendered(call, entry), 202, {"Location": location})

    async def show(self, call: Call) -> Response:
        """One capsule by uuid or name."""
        query = call.query_arguments(CapsuleQuery, code="invalid-value")
        entry = await self._capsules.find(call.context, call.params["ident"], all_projects=query.all_projects)
        self._policy.authorize(call.caller, "capsule:get", project_id=entry.project_id)
        call.exchange.stale_since = self._view.stale_since
        return responses.raw_json(self._rendered(call, entry))

    async def delete(self, call: Call) -> Response:
        """Accept a deletion; the capsule is `Deleting` until it is gone."""
        query = call.query_arguments(CapsuleDeleteQuery, code="invalid-value")
        entry = await self._capsules.find(call.context, call.params["ident"])
        await self._capsules.delete(call.context, entry, force=query.force, all_projects=query.all_projects)
        return responses.no_content()

    def _rendered(self, call: Call, entry: ContainerEntry) -> bytes:
        return self._viewer.one(entry, call.caller, call.version, call.base_url)

    def _marker(self, marker: str | None, entries: Sequence[ContainerEntry]) -> ContainerEntry | None:
        if marker is None:
            return None
        uuid = canonical_uuid(marker)
        entry = next((one for one in entries if one.uuid == uuid), None)
        if entry is None:
            raise NotFound(f"The marker {marker} is no capsule of this list; begin again.", code="container-not-found")
        return entry


def _reader(value: Callable[[Snapshot], Any], viewer: CapsuleViewer) -> Callable[[ContainerEntry], Any]:
    return lambda entry: value(viewer.snapshot(entry))
