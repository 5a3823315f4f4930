# SPDX-License-Identifier: Apache-2.0
"""What clients ask first."""

import httpx
import pytest

from support.api import BASE, ApiWorld, api_world, error_of
from zun.api.options import ApiOptions


async def test_the_root_tells_the_versions_without_a_token(api: ApiWorld) -> None:
    response = await api.stranger.get("/")
    assert response.status_code == 200
    document = response.json()
    (version,) = document["versions"]
    assert version == document["default_version"]
    assert version["links"] == [{"rel": "self", "href": f"{BASE}/v1/"}]
    assert (version["id"], version["status"]) == ("v1", "CURRENT")
    assert (version["min_version"], version["max_version"]) == ("1.1", "1.40")
    assert "openstack-api-version" not in response.headers
    assert response.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
async def test_the_v1_document_lists_the_collections(api: ApiWorld, path: str) -> None:
    response = await api.stranger.get(path)
    document = response.json()
    assert document["id"] == "v1"
    assert document["version"]["max_version"] == "1.40"
    collections = (
        "services containers images networks hosts capsules availability_zones quotas quota_classes registries"
    )
    for name in collections.split():
        assert document[name] == [
            {"rel": "self", "href": f"{BASE}/v1/{name}/"},
            {"rel": "bookmark", "href": f"{BASE}/{name}/"},
        ]
    assert response.headers["openstack-api-maximum-version"] == "container 1.40"


async def test_links_follow_a_trusted_proxy_and_nobody_else() -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example", "X-Forwarded-Prefix": "/container"}
    for trusted, expected in ((("127.0.0.0/8",), "https://cloud.example/container/v1/"), ((), f"{BASE}/v1/")):
        async with api_world(options=ApiOptions(trusted_proxies=trusted)) as api:
            client = api.client(None, None, **forwarded)
            document = (await client.get("/")).json()
            assert document["versions"][0]["links"][0]["href"] == expected


async def test_the_openapi_document_needs_no_token_and_names_every_route(api: ApiWorld) -> None:
    document = (await api.stranger.get("/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    create = document["paths"]["/v1/containers"]["post"]
    body = create["requestBody"]["content"]["application/json"]["schema"]
    assert len(body["properties"]) == 32  # the 30 of the contract, stdin_once and published_ports
    assert body["required"] == ["image"]
    assert document["paths"]["/v1/containers/{ident}/stop"]["post"]["operationId"] == "container_stop"
    operations = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(operations) == len(set(operations))
    assert len(document["components"]["schemas"]["Container"]["properties"]) == 43


async def test_cors_is_off_until_an_origin_is_named() -> None:
    headers = {"Origin": "https://console.example"}
    async with api_world() as api:
        response = await api.member.get("/v1/containers", headers=headers)
        assert "access-control-allow-origin" not in response.headers
    async with api_world(options=ApiOptions(cors_allowed_origins=("https://console.example",))) as api:
        response = await api.member.get("/v1/containers", headers=headers)
        assert response.headers["access-control-allow-origin"] == "https://console.example"
        preflight = await api.stranger.options(
            "/v1/containers", headers=headers | {"Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 204
        assert "POST" in preflight.headers["access-control-allow-methods"]
        stranger: httpx.Response = await api.member.get("/v1/containers", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_who_counts_requests_is_told_of_each_by_its_routes_name(api: ApiWorld) -> None:
    await api.member.get("/v1/containers/nothing")
    await api.stranger.get("/v1/containers")
    await api.member.get("/v1/nowhere")
    assert api.observed == [("container_show", "GET", 404), ("none", "GET", 401), ("none", "GET", 404)]
    assert error_of(await api.member.get("/v1/nowhere")) == (404, "")
