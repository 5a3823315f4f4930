# SPDX-License-Identifier: Apache-2.0
"""Which version a request speaks, and what each version brought (fields: tests/model/test_create_requests.py)."""

import httpx
import pytest

from support.api import ApiWorld, error_of

RANGE = {
    "openstack-api-minimum-version": "container 1.1",
    "openstack-api-maximum-version": "container 1.40",
    "vary": "OpenStack-API-Version",
}


def assert_speaks(response: httpx.Response, version: str) -> None:
    assert response.headers["openstack-api-version"] == f"container {version}"
    for name, value in RANGE.items():
        assert response.headers[name] == value


@pytest.mark.parametrize(
    ("header", "used"),
    [
        (None, "1.1"),
        ("container 1.1", "1.1"),
        ("container 1.20", "1.20"),
        ("container 1.40", "1.40"),
        ("container latest", "1.40"),
        ("container LATEST", "1.40"),
        ("compute 2.1, container 1.7", "1.7"),
    ],
)
async def test_the_answer_names_the_version_that_was_used(api: ApiWorld, header: str | None, used: str) -> None:
    client = api.client("member", header)
    assert_speaks(await client.get("/v1/containers"), used)
    missing = await client.get("/v1/containers/nothing")
    assert_speaks(missing, used)
    assert error_of(missing) == (404, "container-not-found")


@pytest.mark.parametrize(
    "header", ["1.5", "container", "compute 1.5", "compute latest", "container one", "container 1", ""]
)
async def test_a_header_that_names_no_version_of_ours_is_406(api: ApiWorld, header: str) -> None:
    assert error_of(await api.client("member", header).get("/v1/containers")) == (406, "")


@pytest.mark.parametrize("version", ["1.0", "1.41", "2.1", "0.9", "1.400"])
async def test_a_version_out_of_range_is_406_and_tells_the_range(api: ApiWorld, version: str) -> None:
    response = await api.client("member", f"container {version}").get("/v1/containers")
    assert response.status_code == 406
    (entry,) = response.json()["errors"]
    assert entry["code"] == "zun.microversion-unsupported"
    assert (entry["min_version"], entry["max_version"]) == ("1.1", "1.40")
    assert len(entry["links"]) == 1
    assert "unsupported" in entry["title"]


ENDPOINTS = [
    ("GET", "/v1/hosts", "1.3", "1.4"),
    ("GET", "/v1/hosts/n1", "1.3", "1.4"),
    ("POST", "/v1/containers/{}/network_detach", "1.5", "1.6"),
    ("POST", "/v1/containers/{}/network_attach", "1.7", "1.8"),
    ("GET", "/v1/containers/{}/network_list", "1.12", "1.13"),
    ("POST", "/v1/containers/{}/rename", "1.14", "1.13"),
    ("POST", "/v1/containers/{}/add_security_group", "1.15", "1.14"),
    ("POST", "/v1/containers/{}/remove_security_group", "1.15", "1.14"),
    ("POST", "/v1/containers/{}/resize_container", "1.18", "1.19"),
    ("DELETE", "/v1/networks/x", "1.26", "1.27"),
]


@pytest.mark.parametrize(("method", "path", "without", "having"), ENDPOINTS)
async def test_an_endpoint_exists_only_at_its_versions(
    api: ApiWorld, method: str, path: str, without: str, having: str
) -> None:
    url = path.format(await api.running(api.admin))
    missing = await api.at(without, "admin").request(method, url)
    assert error_of(missing) == (406, "")
    assert_speaks(missing, without)
    assert (await api.at(having, "admin").request(method, url)).status_code != 406


async def test_forced_deletion_and_stop_need_their_versions(api: ApiWorld) -> None:
    uuid = await api.running(api.admin)
    url = f"/v1/containers/{uuid}"
    gate = (400, "invalid-param-in-version")
    assert error_of(await api.at("1.6", "admin").delete(url, params={"force": "True"})) == gate
    assert error_of(await api.at("1.11", "admin").delete(url, params={"stop": "true"})) == gate
    plain = await api.at("1.1", "admin").delete(
        url, params={"force": "False", "stop": "False", "all_projects": "False"}
    )
    assert error_of(plain) == (409, "invalid-state-exception")
    assert (await api.at("1.12", "admin").delete(url, params={"stop": "True"})).status_code == 204


async def test_a_field_below_its_version_is_refused_on_the_wire(api: ApiWorld) -> None:
    old = api.at("1.4", "admin")
    response = await old.post("/v1/containers", json={"image": "busybox", "runtime": "runc"})
    assert error_of(response) == (400, "invalid-param-in-version")
    response = await api.at("1.38", "admin").post("/v1/containers", json={"image": "busybox", "host": "n1"})
    assert error_of(response) == (400, "schema-validation-error")
