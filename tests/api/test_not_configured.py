# SPDX-License-Identifier: Apache-2.0
"""What needs a service that is not there is refused naming it; nothing is silently ignored."""

import pytest

from support.api import ApiWorld, error_of


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/capsules/"), ("POST", "/v1/capsules/"), ("GET", "/v1/capsules/x"), ("DELETE", "/v1/capsules/x")],
)
async def test_capsules_say_that_there_are_none(api: ApiWorld, method: str, path: str) -> None:
    for client in (api.member, api.admin):
        response = await client.request(method, path, json={"template": {}} if method == "POST" else None)
        assert error_of(response)[0] == 400
        assert "no capsule driver is configured" in response.text


async def test_networks_say_that_neutron_is_missing(api: ApiWorld) -> None:
    added = await api.admin.post("/v1/networks", json={"name": "nn", "neutron_net_id": "x"})
    assert error_of(added)[0] == 400
    assert "Neutron" in added.text
    gone = await api.admin.delete("/v1/networks//some-id")
    assert error_of(gone) == (404, "network-not-found")
    assert error_of(await api.member.post("/v1/networks", json={}))[0] == 403
    assert error_of(await api.member.delete("/v1/networks/x"))[0] == 403
    assert error_of(await api.at("1.26", "admin").delete("/v1/networks/x"))[0] == 406
