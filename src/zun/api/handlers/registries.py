# SPDX-License-Identifier: Apache-2.0
"""Private registries of a project. The password goes in and never comes out."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from zun.api import paging, responses
from zun.api.paging import IGNORED_NAMES, PAGING_NAMES, Order, PageQuery, ScopeQuery
from zun.api.rendering import links
from zun.api.requests import Call
from zun.model.container_rules import NAME
from zun.model.errors import Invalid, NotFound
from zun.model.fields import Field, Unknown
from zun.model.registry import RegistryRecord
from zun.model.rules import SCHEMA_VIOLATION, text
from zun.services.registries import RegistryChanges, RegistryService

COLLECTION = "registries"
WRAPPER = "registry"
HIDDEN = "***"

_DOMAIN = text(
    1,
    255,
    pattern=r"[a-zA-Z0-9\[][a-zA-Z0-9.:\[\]-]*",
    hint="a host with its port if it has one: registry.example:5000",
)
_USERNAME = text(1, 255)
_PASSWORD = text(1, 8192)


class NewRegistry(msgspec.Struct, frozen=True, kw_only=True):
    """A registry to be added."""

    name: Annotated[str, Field(rule=NAME, required=True, nullable=False, doc="Its name.")]
    domain: Annotated[str, Field(rule=_DOMAIN, required=True, nullable=False, doc="Host, and port if it has one.")]
    username: Annotated[str | None, Field(rule=_USERNAME, doc="Who logs in; nobody when absent.")] = None
    password: Annotated[str | None, Field(rule=_PASSWORD, doc="Kept encrypted, never shown.")] = None


class ChangedRegistry(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a registry; null removes a login."""

    name: Annotated[str | None, Field(rule=NAME, nullable=False, doc="Its name.")] = None
    domain: Annotated[str | None, Field(rule=_DOMAIN, nullable=False, doc="Host, and port if it has one.")] = None
    username: Annotated[str | None, Field(rule=_USERNAME, doc="Who logs in.")] = None
    password: Annotated[str | None, Field(rule=_PASSWORD, doc="Kept encrypted, never shown.")] = None


class RegistryHandlers:
    """`/v1/registries`."""

    def __init__(self, registries: RegistryService) -> None:
        self._registries = registries

    async def list(self, call: Call) -> Response:
        """A page of registries."""
        filters = _filters(call)
        scope = call.query_arguments(ScopeQuery, code="invalid-value")
        query = call.query_arguments(PageQuery, code="invalid-value")
        records = await self._registries.list(call.context, all_projects=scope.all_projects)
        marker = None
        if query.marker is not None:
            marker = next((record for record in records if record.uuid == query.marker), None)
            if marker is None:
                raise NotFound(
                    f"The marker {query.marker} is no registry of this list; begin again.", code="registry-not-found"
                )
        found = [
            record for record in records if all(_COLUMNS[name](record) in texts for name, texts in filters.items())
        ]
        page = paging.select(found, query, _ORDER, call.max_limit, marker)
        link = paging.next_link(
            page,
            last=page.items[-1].uuid if page.items else "",
            url=f"{call.base_url}/v1/{COLLECTION}",
            query=call.query,
        )
        return responses.json({COLLECTION: [_view(record) for record in page.items], "next": link})

    async def create(self, call: Call) -> Response:
        """Add a registry to one's project."""
        form = call.read(NewRegistry, await _wrapped(call), unknown=Unknown.REFUSE)
        record = await self._registries.create(
            call.context, name=form.name, domain=form.domain, username=form.username, password=form.password
        )
        return _one(call, record, 201, {"Location": f"{call.base_url}/v1/{COLLECTION}/{record.uuid}"})

    async def show(self, call: Call) -> Response:
        """One registry by uuid or name."""
        return _one(call, await self._registries.show(call.context, call.params["ident"]))

    async def update(self, call: Call) -> Response:
        """Change some of a registry."""
        members = await _wrapped(call)
        form = call.read(ChangedRegistry, members, unknown=Unknown.REFUSE)
        given = {name: getattr(form, name) for name in members}
        return _one(call, await self._registries.update(call.context, call.params["ident"], RegistryChanges(**given)))

    async def delete(self, call: Call) -> Response:
        """Remove a registry that no container came from."""
        await self._registries.delete(call.context, call.params["ident"])
        return responses.no_content()


_COLUMNS: dict[str, Callable[[RegistryRecord], Any]] = {
    "uuid": lambda record: record.uuid,
    "user_id": lambda record: record.user_id,
    "project_id": lambda record: record.project_id,
    "name": lambda record: record.name,
    "domain": lambda record: record.domain,
    "username": lambda record: record.username,
}
_FILTERS = frozenset(_COLUMNS) - {"uuid"}
_KNOWN = _FILTERS | PAGING_NAMES | IGNORED_NAMES | {"all_projects"}
_ORDER: Order[RegistryRecord] = Order(_COLUMNS, lambda record: (record.created_at, record.uuid))


def _filters(call: Call) -> dict[str, frozenset[str]]:
    for name in call.query:
        if name not in _KNOWN:
            raise Invalid(
                f"There is no query parameter '{name[:64]}' here; known are: {', '.join(sorted(_KNOWN - IGNORED_NAMES))}.",
                code="invalid-value",
            )
    return {name: frozenset(texts) for name, texts in call.query.items() if name in _FILTERS}


async def _wrapped(call: Call) -> dict[str, Any]:
    members = await call.json_object()
    inner = members.get(WRAPPER)
    if len(members) != 1 or not isinstance(inner, dict):
        raise Invalid(f"The body must be an object with the one member '{WRAPPER}', an object.", code=SCHEMA_VIOLATION)
    return inner


def _view(record: RegistryRecord) -> dict[str, Any]:
    return {name: read(record) for name, read in _COLUMNS.items()} | {"password": HIDDEN}


def _one(call: Call, record: RegistryRecord, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    view = _view(record) | {"links": links(call.base_url, COLLECTION, record.uuid)}
    return responses.json({WRAPPER: view}, status, headers)
