# SPDX-License-Identifier: Apache-2.0
"""From method and path to a route, as clients in the wild write paths."""

import pytest
from starlette.responses import Response

from zun.api.requests import Call
from zun.api.routing import MethodNotAllowed, Route, Router, check_accept, check_content_type
from zun.model.errors import NotFound, ZunError


async def nothing(_: Call) -> Response:
    return Response()


def router() -> Router:
    paths = {
        "root": "/",
        "v1": "/v1",
        "list": "/v1/containers",
        "show": "/v1/containers/{ident}",
        "start": "/v1/containers/{ident}/start",
        "action": "/v1/containers/{ident}/container_actions/{request_id}",
        "images": "/v1/images",
        "image": "/v1/images/{uuid}",
        "search": "/v1/images/{name*}/search",
        "health": "/healthcheck",
    }
    return Router([Route("GET", path, nothing, name) for name, path in paths.items()])


@pytest.mark.parametrize(
    ("path", "name", "params"),
    [
        ("/", "root", {}),
        ("/v1", "v1", {}),
        ("/v1/", "v1", {}),
        ("/v1/containers", "list", {}),
        ("/v1/containers/", "list", {}),
        ("/v1/containers.json", "list", {}),
        ("/containers", "list", {}),
        ("/v1/containers/web", "show", {"ident": "web"}),
        ("/v1/containers//web", "show", {"ident": "web"}),
        ("/v1/containers/web/", "show", {"ident": "web"}),
        ("/v1/containers/web.html", "show", {"ident": "web.html"}),
        ("/v1/containers/web.json", "show", {"ident": "web.json"}),
        ("/v1/containers/start", "show", {"ident": "start"}),
        ("/v1/containers//web/start", "start", {"ident": "web"}),
        ("/containers/web/start", "start", {"ident": "web"}),
        ("/v1/containers/a/container_actions/req-1", "action", {"ident": "a", "request_id": "req-1"}),
        ("/v1/images/busybox/search", "search", {"name": "busybox"}),
        ("/v1/images/team/app/search", "search", {"name": "team/app"}),
        ("/v1/images/search", "image", {"uuid": "search"}),
        ("/healthcheck", "health", {}),
    ],
)
def test_a_path_leads_to_its_route(path: str, name: str, params: dict[str, str]) -> None:
    match = router().find("GET", path)
    assert (match.route.name, match.params) == (name, params)


@pytest.mark.parametrize(
    "path", ["//v1", "/v1//containers", "/v1/nothing", "/v1/containers/a/b", "/v1/containers/a//start", "/v2"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    with pytest.raises(NotFound):
        router().find("GET", path)


def test_another_method_is_refused_with_those_that_exist() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        router().find("DELETE", "/v1/containers")
    assert caught.value.allow == "GET"


@pytest.mark.parametrize(
    "accept", [None, b"", b"*/*", b"application/json", b"text/html, application/*;q=0.5", b"Application/JSON"]
)
def test_json_is_acceptable(accept: bytes | None) -> None:
    check_accept(router().find("GET", "/v1").route, accept)


@pytest.mark.parametrize("accept", [b"text/html", b"application/json;q=0", b"text/*;q=1, image/png"])
def test_who_excludes_json_gets_406(accept: bytes) -> None:
    with pytest.raises(ZunError) as caught:
        check_accept(router().find("GET", "/v1").route, accept)
    assert caught.value.http_status == 406


def test_only_routes_that_want_json_look_at_the_content_type() -> None:
    wants = Route("POST", "/v1/containers", nothing, "create", json_body=True)
    check_content_type(wants, b"application/json; charset=utf-8")
    check_content_type(router().find("GET", "/v1").route, b"application/octet-stream")
    with pytest.raises(ZunError) as caught:
        check_content_type(wants, b"application/x-www-form-urlencoded")
    assert caught.value.http_status == 415
