# SPDX-License-Identifier: Apache-2.0
"""From method and path to a handler.

A route's path is literal but for `{name}` (one segment) and `{name*}` (one or more, slashes included). Clients in the wild send
trailing slashes, a double slash right after the collection, paths without `/v1`, and `.json` at the end; names may hold dots.
"""

from collections.abc import Awaitable, Callable, Iterable

import msgspec
from starlette.responses import Response

from zun.api.requests import Call
from zun.api.responses import JSON
from zun.model.errors import Invalid, NotFound, Unsupported, ZunError
from zun.model.microversions import MAXIMUM, MINIMUM, Microversion

Handler = Callable[[Call], Awaitable[Response]]

_DOT_JSON = ".json"


class MethodNotAllowed(ZunError):
    """405. `allow` lists the methods that exist."""

    status = 405

    def __init__(self, method: str, allow: list[str]) -> None:
        super().__init__(f"{method} is not possible here; possible: {', '.join(allow)}.")
        self.allow = ", ".join(allow)


class Route(msgspec.Struct, frozen=True):
    """One URL of the service. What stands after `handler` is also what the OpenAPI document says of it.

    `name`: for metrics and as operation id. `since`, `until`: the microversions that have it. `public`: needs no token.
    `json_body`: the body must be `application/json`. `large`: the body may be as large as an archive. `most_bytes`: the body may be
    that large and no larger, whatever is configured (0: as configured).
    `socket`: it becomes a WebSocket; who asks for none is told so with 426.
    `query`, `body`: the forms that its parameters follow; `either`: they may come in the query or in the body.
    """

    method: str
    path: str
    handler: Handler
    name: str
    success: int = 200
    since: Microversion = MINIMUM
    until: Microversion = MAXIMUM
    public: bool = False
    json_body: bool = False
    large: bool = False
    most_bytes: int = 0
    produces: str = JSON
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    either: type[msgspec.Struct] | None = None
    wrapper: str = ""  # the one member of the body that holds `body`
    only: frozenset[str] | None = None  # the members of `body` allowed
    shows: str = ""  # the schema of its answer
    summary: str = ""
    socket: bool = False


class Match(msgspec.Struct, frozen=True):
    """The route that a request goes to, with the values of its path."""

    route: Route
    params: dict[str, str]


class _Node:
    """A place in the tree of paths."""

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.variable: _Node | None = None
        self.rest: list[tuple[list[str], dict[str, Route]]] = []
        self.routes: dict[str, Route] = {}


def segments_of(path: str) -> list[str] | None:
    """A request's path as segments below the root (with `v1`), forgiving where clients need it; None: nothing can be there."""
    segments = path.split("/")[1:]
    while segments and not segments[-1]:
        segments.pop()
    if segments and segments[0] != "v1" and segments[0] not in _ROOT_DOCUMENTS:
        segments.insert(0, "v1")
    if len(segments) > 2 and not segments[2]:
        del segments[2]
    return segments if all(segments) else None


_ROOT_DOCUMENTS = frozenset({"healthcheck", "metrics"})


class Router:
    """All routes. `find` raises what the contract wants for a path, method or version that is not there."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        parts = [part for part in route.path.split("/") if part]
        for place, part in enumerate(parts):
            if part.endswith("*}"):
                tail = parts[place + 1 :]
                for known, methods in node.rest:
                    if known == tail:
                        methods[route.method] = route
                        return
                node.rest.append((tail, {route.method: route}))
                return
            if part.startswith("{"):
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.literal.setdefault(part, _Node())
        node.routes[route.method] = route

    def lookup(self, path: str) -> tuple[dict[str, Route], list[str]]:
        """The routes at a path by method, with the values of its variables in order. Raises `NotFound`."""
        segments = segments_of(path)
        found = self._walk(self._root, segments, []) if segments is not None else None
        if found is None and segments and segments[-1].endswith(_DOT_JSON):
            found = self._walk(self._root, [*segments[:-1], segments[-1].removesuffix(_DOT_JSON)], [])
        if found is None:
            raise NotFound("There is nothing at this URL. GET /v1/openapi.json lists all URLs.", code="")
        return found

    def find(self, method: str, path: str) -> Match:
        """The route for a request. Raises `NotFound`, `MethodNotAllowed`."""
        methods, values = self.lookup(path)
        route = methods.get(method)
        if route is None:
            raise MethodNotAllowed(method, sorted(methods))
        names = [part[1:-1].rstrip("*") for part in route.path.split("/") if part.startswith("{")]
        return Match(route, dict(zip(names, values, strict=True)))

    def _walk(self, node: _Node, left: list[str], values: list[str]) -> tuple[dict[str, Route], list[str]] | None:
        if not left:
            return (node.routes, values) if node.routes else None
        literal = node.literal.get(left[0])
        if literal is not None and (found := self._walk(literal, left[1:], values)) is not None:
            return found
        if node.variable is not None and (found := self._walk(node.variable, left[1:], [*values, left[0]])) is not None:
            return found
        for tail, routes in node.rest:
            length = len(left) - len(tail)
            if length > 0 and left[length:] == tail:
                return routes, [*values, "/".join(left[:length])]
        return None


def check_version(route: Route, version: Microversion) -> None:
    """Raise `Unsupported` (406) when the endpoint does not exist at this version."""
    if not route.since <= version <= route.until:
        raise Unsupported(
            f"This URL exists from API version {route.since[0]}.{route.since[1]} to {route.until[0]}.{route.until[1]}; "
            f"the request used {version[0]}.{version[1]}.",
            code="",
            status=406,
        )


def check_accept(route: Route, accept: bytes | None) -> None:
    """Raise `Unsupported` (406) when the client refuses what the endpoint produces."""
    if accept is None or not accept.strip():
        return
    kind = route.produces.partition("/")[0]
    for item in accept.decode("latin-1").lower().split(","):
        media, *parameters = (part.strip() for part in item.split(";"))
        if media in ("*/*", f"{kind}/*", route.produces) and not _excluded(parameters):
            return
    raise Unsupported(f"This URL answers with {route.produces}; the Accept header excludes it.", code="", status=406)


def _excluded(parameters: list[str]) -> bool:
    return any(parameter.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for parameter in parameters)


def check_content_type(route: Route, content_type: bytes | None) -> None:
    """Raise `Invalid` (415) when the endpoint wants JSON and something else was sent."""
    if not route.json_body or content_type is None:
        return
    media = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if media and media != JSON:
        raise Invalid(f"The body must be {JSON}, not {media[:64]}.", code="", status=415)
