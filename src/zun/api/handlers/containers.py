# SPDX-License-Identifier: Apache-2.0
"""Containers as a collection: list, create, show, change, delete."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from zun.api import paging, responses
from zun.api.container_filters import ContainerOrder, ListQuery, check_visible, wanted
from zun.api.exchange import Keep
from zun.api.rendering import ContainerViewer
from zun.api.requests import Call
from zun.base.ids import canonical_uuid
from zun.model.children import RecordKind
from zun.model.creation import parse_create, parse_update
from zun.model.errors import NotFound
from zun.model.fields import Bounds, Field, Since, Unknown
from zun.model.rules import LIST_BOOLEAN, WIDE_BOOLEAN
from zun.policy.enforcer import Policy
from zun.services.containers import ContainerService
from zun.store.view import ContainerEntry, View

COLLECTION = "containers"


class RunQuery(msgspec.Struct, frozen=True):
    """Query of a creation."""

    run: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Start it as well.")] = False


class ShowQuery(msgspec.Struct, frozen=True):
    """Query of a single container."""

    all_projects: Annotated[bool, Field(rule=LIST_BOOLEAN, doc="Look in every project; for administrators.")] = False


class DeleteQuery(msgspec.Struct, frozen=True):
    """Query of a deletion."""

    force: Annotated[
        bool,
        Field(rule=WIDE_BOOLEAN, since=Since((1, 7), when=bool), doc="In nearly any state; for administrators."),
    ] = False
    stop: Annotated[
        bool, Field(rule=WIDE_BOOLEAN, since=Since((1, 12), when=bool), doc="Stop it first when it runs.")
    ] = False
    all_projects: Annotated[bool, Field(rule=WIDE_BOOLEAN, doc="Look in every project; for administrators.")] = False


class ContainerHandlers:
    """`/v1/containers` and `/v1/containers/{ident}`."""

    def __init__(
        self, containers: ContainerService, view: View, policy: Policy, viewer: ContainerViewer, bounds: Bounds
    ) -> None:
        self._containers = containers
        self._view = view
        self._policy = policy
        self._viewer = viewer
        self._order = ContainerOrder(viewer)
        self._bounds = bounds

    async def list(self, call: Call) -> Response:
        """A page of containers."""
        filters = wanted(call.query)
        query = call.query_arguments(ListQuery, code="invalid-value")
        hidden = self._viewer.hidden_from(call.caller, call.caller.project_id)
        check_visible([*filters, *([query.sort_key] if query.sort_key else [])], hidden)
        entries = await self._containers.list(call.context, all_projects=query.all_projects)
        found = self._order.matching(entries, filters) if filters else entries
        marker = self._marker(query.marker, call, all_projects=query.all_projects)
        page = paging.select(found, query, self._order.order, call.max_limit, marker, ordered=True)
        items, until = self._viewer.listed(page.items, call.caller)
        self._keep_list(call, until, all_projects=query.all_projects)
        last = page.items[-1].uuid if page.items else ""
        link = paging.next_link(page, last=last, url=f"{call.base_url}/v1/{COLLECTION}", query=call.query)
        return responses.raw_json(b'{"containers":%b,"next":%b}' % (items, responses.encode(link)))

    async def create(self, call: Call) -> Response:
        """Accept a container; it is made in the background."""
        members = await call.json_object()
        query = call.query_members()
        if "run" in members:
            query["run"] = members.pop("run")
        run = call.read(RunQuery, query, unknown=Unknown.REFUSE_QUERY).run
        request = parse_create(members, call.version, self._bounds)
        entry = await self._containers.create(call.context, request.spec, request.files, run=run, given=request.given)
        return self._one(call, entry, 202, {"Location": f"{call.base_url}/v1/{COLLECTION}/{entry.uuid}"})

    async def show(self, call: Call) -> Response:
        """One container by uuid or name."""
        query = call.query_arguments(ShowQuery, code="invalid-value")
        ident = call.params["ident"]
        entry = await self._containers.find(call.context, ident, all_projects=query.all_projects)
        self._policy.authorize(call.caller, "container:get_one", project_id=entry.project_id)
        body, until = self._viewer.one(entry, call.caller, call.base_url)
        if canonical_uuid(ident) == entry.uuid and not query.all_projects:
            self._keep_one(call, entry.uuid, until)
        return responses.raw_json(body)

    async def update(self, call: Call) -> Response:
        """Change cpu, memory, name or auto_heal; answers when the node did it."""
        changes = parse_update(await call.json_object(), call.version, self._bounds)
        entry = await self._containers.find(call.context, call.params["ident"])
        return self._one(call, await self._containers.update(call.context, entry, changes))

    async def delete(self, call: Call) -> Response:
        """Accept a deletion; the container is `Deleting` until it is gone."""
        query = call.query_arguments(DeleteQuery, unknown=Unknown.REFUSE_QUERY)
        entry = await self._containers.find(call.context, call.params["ident"])
        await self._containers.delete(
            call.context, entry, force=query.force, stop=query.stop, all_projects=query.all_projects
        )
        return responses.no_content()

    def _one(
        self, call: Call, entry: ContainerEntry, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        body, _ = self._viewer.one(entry, call.caller, call.base_url)
        return responses.raw_json(body, status, headers)

    def _marker(self, marker: str | None, call: Call, *, all_projects: bool) -> ContainerEntry | None:
        if marker is None:
            return None
        entry = self._view.container(canonical_uuid(marker) or "")
        if (
            entry is None
            or entry.kind is not RecordKind.CONTAINER
            or not (all_projects or entry.project_id == call.caller.project_id)
        ):
            raise NotFound(
                f"The marker {marker} is no container of this list; begin again.", code="container-not-found"
            )
        return entry

    def _keep_list(self, call: Call, until: float, *, all_projects: bool) -> None:
        view, policy, project_id = self._view, self._policy, None if all_projects else call.caller.project_id

        def current() -> object:
            return view.project_revision(project_id), policy.generation

        call.exchange.keep = Keep(current, current(), until)

    def _keep_one(self, call: Call, uuid: str, until: float) -> None:
        view, policy = self._view, self._policy

        def current() -> object:
            entry = view.seen_by_people(uuid)
            return view.visible_revision(entry) if entry is not None else 0, policy.generation

        call.exchange.keep = Keep(current, current(), until)
