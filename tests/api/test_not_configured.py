# SPDX-License-Identifier: Apache-2.0
"""What needs a service that is not there is refused naming it; nothing is silently ignored."""

from support.api import ApiWorld, error_of


async def test_networks_say_that_neutron_is_missing(api: ApiWorld) -> None:
    added = await api.admin.post("/v1/networks", json={"name": "nn", "neutron_net_id": "x"})
    assert error_of(added)[0] == 400
    assert "Neutron" in added.text
    gone = await api.admin.delete("/v1/networks//some-id")
    assert error_of(gone) == (404, "network-not-found")
    assert error_of(await api.member.post("/v1/networks", json={}))[0] == 403
    assert error_of(await api.member.delete("/v1/networks/x"))[0] == 403
    assert error_of(await api.at("1.26", "admin").delete("/v1/networks/x"))[0] == 406
