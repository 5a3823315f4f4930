# SPDX-License-Identifier: Apache-2.0
"""Networks of the service: administrators make them, projects see and use what is theirs."""

from typing import Any

import pytest

from support.api import ApiWorld, error_of
from support.capsules import template
from support.records import node_info
from zun.model.attachments import Attachment, InterfaceAddress
from zun.model.networks import CNI
from zun.model.records import ContainerRecord, Inbox, NameClaim, SeenState
from zun.store import codec, keys

N, C = "/v1/networks", "/v1/containers"
LAB = {"name": "own", "subnets": [{"cidr": "10.77.0.0/24"}], "shared": True}


async def made(api: ApiWorld, **members: Any) -> dict[str, Any]:
    response = await api.admin.post(N, json=LAB | members)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def capable(api: ApiWorld, **fields: object) -> None:
    """The only node plugs into networks of the service."""
    info = node_info("n1", capabilities=[CNI, "networks", "capsules"], networks=[], **fields)
    await api.world.put(keys.node_info("n1"), info)


async def test_a_network_is_made_shown_listed_and_removed(api: ApiWorld) -> None:
    network = await made(api, subnets=[{"cidr": "10.77.0.0/24"}, {"cidr": "fd00:77::/64", "gateway": ""}], mtu=1400)
    assert network["network_id"] == network["uuid"]
    assert (network["neutron_net_id"], network["shared"], network["mtu"]) == (None, True, 1400)
    assert network["subnets"] == [
        {
            "cidr": "10.77.0.0/24",
            "gateway": "10.77.0.1",
            "ranges": [{"start": "10.77.0.2", "end": "10.77.0.254"}],
        },
        {
            "cidr": "fd00:77::/64",
            "gateway": None,
            "ranges": [{"start": "fd00:77::1", "end": "fd00:77::ffff:ffff:ffff:fffe"}],
        },
    ]
    assert (await api.member.get(f"{N}/own")).json() == network
    assert (await api.reader.get(N)).json() == {"networks": [network]}
    assert (await api.admin.delete(f"{N}/{network['uuid']}")).status_code == 204
    assert (await api.admin.get(N)).json() == {"networks": []}
    assert error_of(await api.admin.delete(f"{N}/own")) == (404, "network-not-found")


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"name": "own"}, 409),
        ({"name": "lab", "subnets": [{"cidr": "10.78.0.0/24"}]}, 409),
        ({"name": "other"}, 400),
        ({"name": "other", "subnets": []}, 400),
        ({"name": "other", "subnets": [{"cidr": "x"}]}, 400),
        ({"name": "other", "subnets": [{"cidr": "10.78.0.0/24", "more": 1}]}, 400),
        ({"name": "other", "subnets": [{"cidr": "10.78.0.0/24", "gateway": 7}]}, 400),
        ({"name": "other", "subnets": [{"cidr": "10.78.0.0/24", "ranges": [{"start": "10.78.0.5"}]}]}, 400),
        ({"name": "other", "subnets": [{"cidr": "10.78.0.0/24"}, {"cidr": "10.79.0.0/24"}]}, 400),
        ({"name": "no/name", "subnets": [{"cidr": "10.78.0.0/24"}]}, 400),
        ({"name": "other", "subnets": [{"cidr": "10.78.0.0/24"}], "mtu": 1}, 400),
        ({"name": "other", "subnets": [{"cidr": "10.78.0.0/24"}], "shared": "yes"}, 400),
    ],
)
async def test_what_cannot_be_is_refused(api: ApiWorld, members: dict[str, Any], status: int) -> None:
    await made(api)
    response = await api.admin.post(N, json=LAB | members)
    assert error_of(response)[0] == status, response.text


async def test_a_project_sees_no_network_of_another_and_cannot_be_on_it(api: ApiWorld) -> None:
    await capable(api)
    theirs = await made(api, shared=False, project_id="p2")
    assert (await api.member.get(N)).json() == {"networks": []}
    for ident in ("own", theirs["uuid"]):
        found, missing = await api.member.get(f"{N}/{ident}"), await api.member.get(f"{N}/nothing")
        assert error_of(found) == (404, "network-not-found")
        assert error_of(missing) == error_of(found)
        refused = await api.member.post(C, json={"image": "busybox", "nets": [{"network": ident}]})
        assert error_of(refused) == (404, "network-not-found")
    assert error_of(await api.member.post(N, json=LAB))[0] == 403
    assert error_of(await api.member.delete(f"{N}/own"))[0] == 403


async def test_the_wish_holds_which_network_is_meant(api: ApiWorld) -> None:
    await capable(api)
    network = await made(api)
    for ident in ("own", network["uuid"]):
        nets = [{"network": ident, "v4-fixed-ip": "10.77.0.9"}]
        response = await api.member.post(C, json={"image": "busybox", "nets": nets})
        assert response.status_code == 202, response.text
        (net,) = _wish(api, response.json()["uuid"]).spec.nets
        assert (net.network, net.id, net.v4_fixed_ip) == ("own", network["uuid"], "10.77.0.9")


@pytest.mark.parametrize(
    ("nets", "expected"),
    [
        ([{"network": "own", "v4-fixed-ip": "10.78.0.9"}], (400, "bad-request")),
        ([{"network": "own", "v4-fixed-ip": "10.77.0.1"}], (400, "bad-request")),
        ([{"network": "own", "v6-fixed-ip": "fd00::9"}], (400, "bad-request")),
        ([{"network": "own"}, {"network": "own"}], (400, "bad-request")),
        ([{"network": "nothing"}], (404, "network-not-found")),
    ],
)
async def test_networks_that_a_container_cannot_have_are_refused(
    api: ApiWorld, nets: list[dict[str, str]], expected: tuple[int, str]
) -> None:
    await capable(api)
    await made(api)
    response = await api.member.post(C, json={"image": "busybox", "nets": nets})
    assert error_of(response)[0] == expected[0], response.text


async def test_both_kinds_of_networks_together_are_refused(api: ApiWorld) -> None:
    await made(api)
    nets = [{"network": "own"}, {"network": "lab"}]
    response = await api.member.post(C, json={"image": "busybox", "nets": nets})
    assert error_of(response)[0] == 400
    assert "cannot be mixed" in response.text
    response = await api.member.post(C, json={"image": "busybox", "nets": nets[:1]})
    assert error_of(response)[0] == 400
    assert "driver = cni" in response.text


async def test_without_any_network_there_is_nowhere_to_be(api: ApiWorld) -> None:
    await capable(api)
    assert error_of(await api.member.post(C, json={"image": "busybox"}))[0] == 409
    await made(api)
    assert (await api.member.post(C, json={"image": "busybox"})).status_code == 202


async def test_addresses_are_those_that_the_control_plane_gave(api: ApiWorld) -> None:
    await capable(api)
    network = await made(api)
    uuid = (await api.member.post(C, json={"image": "busybox"})).json()["uuid"]
    attachment = Attachment(
        network=network["uuid"],
        ifname="eth0",
        mac="02:5a:0a:4d:00:02",
        addresses=(InterfaceAddress("10.77.0.2", 24, "10.77.0.1"),),
    )
    await api.world.place(uuid, attachments=[attachment])
    await api.world.sees(uuid, SeenState.EXITED, exit_code=0)
    told = {"addr": "10.77.0.2", "version": 4, "port": "", "subnet_id": "", "preserve_on_delete": False}
    assert (await api.member.get(f"{C}/{uuid}")).json()["addresses"] == {network["uuid"]: [told]}
    (listed,) = (await api.member.get(f"{C}/{uuid}/network_list")).json()["networks"]
    assert (listed["net_id"], listed["fixed_ips"][0]["ip_address"]) == (network["uuid"], "10.77.0.2")


async def test_a_network_goes_only_when_nobody_is_on_it(api: ApiWorld) -> None:
    await capable(api)
    network = await made(api)
    claim = keys.address(network["uuid"], "10.77.0.2")
    await api.world.put(claim, NameClaim("c-1"))
    refused = await api.admin.delete(f"{N}/own")
    assert error_of(refused)[0] == 409
    assert "c-1" in refused.text
    assert (await api.member.post(C, json={"image": "busybox", "nets": [{"network": "own"}]})).status_code == 202


def _wish(api: ApiWorld, uuid: str) -> ContainerRecord:
    entry = api.world.view.container(uuid)
    assert entry is not None
    return codec.decode(ContainerRecord, entry.wish_raw)


async def placed_on(api: ApiWorld, *networks: dict[str, Any]) -> str:
    """A container that runs on these networks."""
    uuid = str((await api.member.post(C, json={"image": "busybox"})).json()["uuid"])
    attachments = [
        Attachment(
            network=network["uuid"],
            ifname=f"eth{number}",
            mac=f"02:5a:0a:4d:00:0{number}",
            addresses=(InterfaceAddress(f"10.{77 + number}.0.2", 24),),
        )
        for number, network in enumerate(networks)
    ]
    await api.world.place(uuid, attachments=attachments)
    await api.world.sees(uuid, SeenState.RUNNING)
    return uuid


async def test_attaching_and_detaching_wait_for_the_leader(api: ApiWorld) -> None:
    await capable(api)
    first = await made(api)
    second = await made(api, name="second", subnets=[{"cidr": "10.78.0.0/24"}])
    uuid = await placed_on(api, first)
    url = f"{C}/{uuid}"
    attach = {"network": "second", "fixed_ip": "10.78.0.9"}
    assert (await api.member.post(f"{url}/network_attach", params=attach)).status_code == 200
    (intent,) = [one for one in _wish(api, uuid).intents if one.verb.value == "network_attach"]
    assert (intent.network, intent.network_id, intent.fixed_ip) == ("second", second["uuid"], "10.78.0.9")
    stored = await api.world.store.get(keys.inbox("n1", uuid))
    assert stored is not None
    assert codec.decode(Inbox, stored.value).intents == []
    assert error_of(await api.member.post(f"{url}/network_attach", params={"network": "second"}))[0] == 400
    assert (await api.member.post(f"{url}/network_detach", params={"network": first["uuid"]})).status_code == 202
    assert error_of(await api.member.post(f"{url}/network_detach", params={"network": "own"}))[0] == 400


async def test_networks_that_cannot_be_attached_are_refused(api: ApiWorld) -> None:
    await capable(api)
    first = await made(api)
    api.clock.advance(1)
    await made(api, name="second", subnets=[{"cidr": "10.78.0.0/24"}])
    await made(api, name="theirs", subnets=[{"cidr": "10.79.0.0/24"}], shared=False, project_id="p2")
    url = f"{C}/{await placed_on(api, first)}/network_attach"
    for asked, status in (
        ({"network": "theirs"}, 404),
        ({"network": "nothing"}, 404),
        ({"network": "own"}, 400),
        ({}, 400),
        ({"network": "second", "fixed_ip": "10.79.0.9"}, 400),
        ({"network": "second", "port": "p"}, 400),
        ({"port": "p"}, 400),
    ):
        response = await api.member.post(url, params=asked)
        assert error_of(response)[0] == status, response.text


async def test_a_capsule_needs_a_network_as_a_container_does(api: ApiWorld) -> None:
    await capable(api)
    body = {"template": template("shop", ["sleep", "9"])}
    refused = await api.member.post("/v1/capsules", json=body)
    assert refused.status_code == 409
    assert "There is no network for containers of this project" in refused.text
    await made(api)
    assert (await api.member.post("/v1/capsules", json=body)).status_code == 202
