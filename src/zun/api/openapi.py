# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document, derived from the routes and the declared forms: nothing here is written twice."""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.responses import Response

from zun import __version__
from zun.api import responses
from zun.api.requests import Call
from zun.api.routing import Route
from zun.model import capsule_view
from zun.model.container_view import KEYS
from zun.model.fields import Bounds, by_wire
from zun.model.microversions import MAXIMUM, MINIMUM, text
from zun.model.schemas import member_schema, request_schema

_ERROR_STATUSES = ("400", "401", "403", "404", "405", "406", "409", "413", "415", "503", "504")
_VERSION_HEADER = {
    "name": "OpenStack-API-Version",
    "in": "header",
    "description": f"The microversion, {text(MINIMUM)} to {text(MAXIMUM)}; the oldest when absent.",
    "schema": {"type": "string", "default": f"container {text(MAXIMUM)}", "enum": [f"container {text(MAXIMUM)}"]},
}


class OpenApiHandlers:
    """Serves the document, made once."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._body = b"{}"

    def describe(self, routes: Iterable[Route]) -> None:
        """Make the document of these routes."""
        self._body = responses.encode(document(routes, self._bounds))

    async def document(self, call: Call) -> Response:  # noqa: ARG002 - every handler takes the call
        """The document."""
        return responses.raw_json(self._body)


def document(routes: Iterable[Route], bounds: Bounds) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = route.path.replace("*}", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, bounds)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Zun",
            "version": __version__,
            "description": "Containers through one API. Versions "
            f"{text(MINIMUM)} to {text(MAXIMUM)}, chosen by the header OpenStack-API-Version.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
            "schemas": {"Container": _container_schema(), "Capsule": capsule_view.schema(), "Errors": _errors_schema()},
        },
    }


def _operation(route: Route, bounds: Bounds) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary or (route.handler.__doc__ or route.name).strip().splitlines()[0],
        "parameters": [*_path_parameters(route.path), *_query_parameters(route, bounds)],
        "responses": _responses(route),
    }
    if route.public:
        operation["security"] = []
    else:
        operation["parameters"].append(_VERSION_HEADER)
    if route.body is not None:
        schema = request_schema(route.body, closed=True, bounds=bounds, only=route.only)
        if route.wrapper:
            schema = {
                "type": "object",
                "properties": {route.wrapper: schema},
                "required": [route.wrapper],
                "additionalProperties": False,
            }
        operation["requestBody"] = _json_body(schema, required=route.json_body)
    elif route.either is not None:
        schema = request_schema(route.either, closed=False, bounds=bounds)
        operation["requestBody"] = _json_body(schema, required="required" in schema)
    return operation


def _json_body(schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {responses.JSON: {"schema": schema}}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1].rstrip("*") for part in path.split("/") if part.startswith("{")]
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _query_parameters(route: Route, bounds: Bounds) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    found = []
    for name, entry in by_wire(route.query).items():
        schema = member_schema(name, msgspec.structs.replace(entry.field, nullable=False), bounds)
        description = schema.pop("description", "")
        found.append(
            {
                "name": name,
                "in": "query",
                "required": entry.field.required,
                "description": description,
                "schema": schema,
            }
        )
    return found


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        status: {
            "description": "What is wrong, and what to do about it.",
            "content": {responses.JSON: {"schema": {"$ref": "#/components/schemas/Errors"}}},
        }
        for status in (*_ERROR_STATUSES, *(["426"] if route.socket else []))
    }
    success: dict[str, Any] = {"description": "Done, or accepted."}
    if route.success not in (101, 204):
        schema = {"$ref": f"#/components/schemas/{route.shows}"} if route.shows else {}
        success["content"] = {route.produces: {"schema": schema}}
    found[str(route.success)] = success
    return found


def _container_schema() -> dict[str, Any]:
    properties = {key.name: dict(key.schema) for key in KEYS}
    properties["status_detail"] = {"type": ["string", "null"]}
    properties["links"] = {"type": "array", "items": {"type": "object"}}
    return {"type": "object", "properties": properties, "required": ["uuid", "name", "status", "project_id"]}


def _errors_schema() -> dict[str, Any]:
    entry = {
        "type": "object",
        "required": ["code", "status", "title", "detail"],
        "properties": {
            "request_id": {"type": "string"},
            "code": {"type": "string"},
            "status": {"type": "integer"},
            "title": {"type": "string"},
            "detail": {"type": "string"},
            "links": {"type": "array"},
        },
    }
    return {
        "type": "object",
        "anyOf": [{"required": ["errors"]}, {"required": ["error"]}],
        "properties": {"errors": {"type": "array", "items": entry}, "error": {"type": "object"}},
    }
