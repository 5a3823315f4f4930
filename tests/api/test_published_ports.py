# SPDX-License-Identifier: Apache-2.0
"""Ports of containers that are published: who may ask for which, and where they are shown."""

import httpx
import pytest

from support.api import ApiWorld
from zun.model.attachments import PublishedPort

C = "/v1/containers"
WEB = {"port": 80, "host_port": 8080}
CAPABLE = ["networks", "publish", "capsules"]


def detail_of(refused: httpx.Response) -> str:
    (error,) = refused.json()["errors"]
    return str(error["detail"])


async def test_what_is_published_is_shown_with_the_place_where_it_is_found(api: ApiWorld) -> None:
    await api.world.node("n1", capabilities=CAPABLE)
    made = await api.create(published_ports=[WEB, {"port": 53, "protocol": "udp"}])
    assert made["published_ports"] == [
        {"host_address": None, "host_port": 8080, "port": 80, "protocol": "tcp"},
        {"host_address": None, "host_port": None, "port": 53, "protocol": "udp"},
    ]
    decided = [PublishedPort(8080, 80, "tcp", "192.0.2.7"), PublishedPort(20001, 53, "udp", "192.0.2.7")]
    await api.world.place(made["uuid"], published=decided)
    listed = (await api.member.get(C)).json()["containers"]
    assert listed[0]["published_ports"] == [
        {"host_address": "192.0.2.7", "host_port": 8080, "port": 80, "protocol": "tcp"},
        {"host_address": "192.0.2.7", "host_port": 20001, "port": 53, "protocol": "udp"},
    ]


@pytest.mark.parametrize("port", [22, 1023, 2379, 9517, 9519, 32768, 65535])
async def test_ports_beyond_what_the_operator_opened_are_refused_with_those_that_can_be_had(
    api: ApiWorld, port: int
) -> None:
    await api.world.node("n1", capabilities=CAPABLE)
    refused = await api.member.post(C, json={"image": "busybox", "published_ports": [{"port": 80, "host_port": port}]})
    assert refused.status_code == 400
    detail = detail_of(refused)
    assert f"port {port} of a host cannot be published; choose one of 1024-32767 but 2379-2380, 9517-9519" in detail


async def test_where_no_host_can_publish_it_is_refused_at_once(api: ApiWorld) -> None:
    await api.world.node("n1", capabilities=["networks"])
    refused = await api.member.post(C, json={"image": "busybox", "published_ports": [WEB]})
    assert refused.status_code == 400
    assert "published ports" in detail_of(refused)


async def test_an_older_client_knows_no_such_property(api: ApiWorld) -> None:
    refused = await api.at("1.39").post(C, json={"image": "busybox", "published_ports": [WEB]})
    assert refused.status_code == 400
    assert "published_ports" in detail_of(refused)


def template(*ports: dict[str, object], where: str = "containers") -> dict[str, object]:
    spec: dict[str, object] = {"containers": [{"image": "busybox"}]}
    spec[where] = [{"image": "busybox", "ports": list(ports)}]
    return {"template": {"kind": "capsule", "metadata": {"name": "shop"}, "spec": spec}}


async def test_a_capsule_publishes_the_host_ports_of_its_containers(api: ApiWorld) -> None:
    await api.world.node("n1", capabilities=CAPABLE)
    made = await api.member.post("/v1/capsules", json=template({"containerPort": 80, "hostPort": 8080}))
    assert made.status_code == 202, made.text
    uuid = made.json()["uuid"]
    await api.world.place(uuid, published=[PublishedPort(8080, 80)])
    view = (await api.member.get(f"/v1/capsules/{uuid}")).json()
    found = [{"host_address": "0.0.0.0", "host_port": 8080, "port": 80, "protocol": "tcp"}]
    assert view["published_ports"] == found
    assert view["containers"][0]["published_ports"] == found


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (template({"containerPort": 80, "hostPort": 80}), "'template.spec.containers[0]': port 80 of a host"),
        (
            template({"containerPort": 80, "hostPort": 8080}, {"containerPort": 81, "hostPort": 8080}),
            "'template.spec.containers' publish a hostPort twice",
        ),
        (
            template({"containerPort": 80, "hostPort": 8080}, where="initContainers"),
            "'template.spec.initContainers[0].ports' has a hostPort",
        ),
        (
            template(*({"containerPort": port, "hostPort": 8000 + port} for port in range(1, 18))),
            "'template.spec.containers' have 17 hostPorts",
        ),
    ],
)
async def test_a_host_port_that_cannot_be_had_is_refused_by_its_path(
    api: ApiWorld, body: dict[str, object], words: str
) -> None:
    await api.world.node("n1", capabilities=CAPABLE)
    refused = await api.member.post("/v1/capsules", json=body)
    assert refused.status_code == 400
    assert words in detail_of(refused)
