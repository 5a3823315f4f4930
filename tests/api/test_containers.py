# SPDX-License-Identifier: Apache-2.0
"""Containers: create, show, list, change, delete."""

import asyncio
import re
from typing import Any

import pytest

from support.api import BASE, ApiWorld, error_of
from zun.model.records import Address, SeenState

C = "/v1/containers"

ADMIN_KEYS = {"host", "image_pull_policy", "privileged", "runtime"}
KEYS = {
    "uuid",
    "links",
    "user_id",
    "project_id",
    "name",
    "image",
    "command",
    "entrypoint",
    "status",
    "status_reason",
    "task_state",
    "status_detail",
    "cpu",
    "cpu_policy",
    "memory",
    "disk",
    "environment",
    "labels",
    "workdir",
    "hostname",
    "ports",
    "addresses",
    "published_ports",
    "restart_policy",
    "interactive",
    "tty",
    "auto_remove",
    "auto_heal",
    "image_driver",
    "security_groups",
    "healthcheck",
    "registry_id",
    "created_at",
    "updated_at",
    "host",
    "image_pull_policy",
    "privileged",
    "runtime",
    "exit_code",
    "started_at",
    "finished_at",
    "health",
    "restarts",
}
SPACED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")


async def test_a_created_container_is_answered_with_202_and_its_place(api: ApiWorld) -> None:
    response = await api.member.post(C, json={"image": "busybox", "name": "web"})
    assert response.status_code == 202
    view = response.json()
    assert set(view) == KEYS - ADMIN_KEYS
    assert response.headers["location"] == f"{BASE}/v1/containers/{view['uuid']}"
    assert view["links"] == [
        {"rel": "self", "href": f"{BASE}/v1/containers/{view['uuid']}"},
        {"rel": "bookmark", "href": f"{BASE}/containers/{view['uuid']}"},
    ]
    assert (view["name"], view["image"], view["status"], view["task_state"]) == (
        "web",
        "busybox",
        "Creating",
        "container_creating",
    )
    assert (view["user_id"], view["project_id"]) == ("u1", "p1")
    assert (view["cpu"], view["memory"], view["disk"], view["cpu_policy"]) == (1.0, "512", 0, "shared")
    assert (view["environment"], view["labels"], view["restart_policy"], view["addresses"]) == ({}, {}, {}, {})
    assert (view["ports"], view["security_groups"], view["healthcheck"]) == ([], [], {})
    assert SPACED.fullmatch(view["created_at"])
    assert (view["updated_at"], view["status_detail"], view["registry_id"]) == (None, None, None)


async def test_without_a_name_one_is_made_up(api: ApiWorld) -> None:
    assert re.fullmatch(r"[a-z]+-\d+-container", (await api.create())["name"])


async def test_all_that_was_asked_is_shown(api: ApiWorld) -> None:
    asked: dict[str, Any] = {
        "name": "api-1",
        "command": ["sh", "-c", "sleep 900"],
        "entrypoint": ["/init"],
        "cpu": "0.5",
        "memory": "256",
        "environment": {"MODE": "test"},
        "labels": {"tier": 1},
        "workdir": "/srv",
        "hostname": "api",
        "interactive": True,
        "tty": True,
        "auto_heal": True,
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "healthcheck": {"cmd": "test -e /tmp/ok", "interval": 10, "timeout": 3, "retries": 2},
        "runtime": "runc",
        "image_pull_policy": "Always",
        "host": "n1",
    }
    view = await api.create(api.admin, **asked)
    assert set(view) == KEYS
    expected = asked | {
        "cpu": 0.5,
        "labels": {"tier": "1"},
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "3"},
        "healthcheck": {"test": "test -e /tmp/ok", "interval": 10, "timeout": 3, "retries": 2},
        "image_pull_policy": "always",
        "host": None,
    }
    assert {name: view[name] for name in expected} == expected


async def test_run_is_taken_from_the_query_and_from_the_body(api: ApiWorld) -> None:
    for request in ({"params": {"run": "true"}}, {"json": {"image": "busybox", "run": True}}):
        response = await api.member.post(C, **({"json": {"image": "busybox"}} | request))
        entry = api.world.entry(response.json()["uuid"])
        assert [str(intent.verb) for intent in entry.record().intents] == ["create", "start"]
    assert error_of(await api.member.post(C, params={"run": "maybe"}, json={"image": "busybox"})) == (
        400,
        "invalid-value",
    )
    assert error_of(await api.member.post(C, params={"walk": "1"}, json={"image": "busybox"})) == (400, "invalid-value")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"image": "Upper/Case"}, (400, None)),
        ({"runtime": "runc"}, (403, "policy-not-authorized")),
        ({"image_pull_policy": "never"}, (403, "policy-not-authorized")),
        ({"host": "n1"}, (403, "policy-not-authorized")),
        ({"privileged": True}, (403, "policy-not-authorized")),
        ({"nets": [{"network": "no-such-net"}]}, (404, "network-not-found")),
        ({"nets": [{"port": "p"}]}, (400, None)),
        ({"security_groups": ["default"]}, (400, None)),
        ({"image_driver": "glance"}, (400, None)),
        ({"registry": "no-such"}, (404, "registry-not-found")),
        ({"mounts": [{"size": "2", "destination": "/d"}]}, (400, "volume-not-usable")),
        ({"colour": "red"}, (400, "schema-validation-error")),
    ],
)
async def test_what_cannot_be_had_is_refused_and_nothing_is_recorded(
    api: ApiWorld, members: dict[str, Any], expected: tuple[int, str | None]
) -> None:
    response = await api.member.post(C, json={"image": "busybox"} | members)
    status, code = error_of(response)
    assert status == expected[0]
    assert expected[1] in (None, code)
    assert (await api.member.get(C)).json()["containers"] == []


async def test_an_unknown_host_is_404_for_the_admin(api: ApiWorld) -> None:
    response = await api.admin.post(C, json={"image": "busybox", "host": "n9"})
    assert error_of(response) == (404, "requested-host-not-found")


async def test_a_reader_may_look_and_change_nothing(api: ApiWorld) -> None:
    uuid = await api.running()
    assert (await api.reader.get(f"{C}/{uuid}")).status_code == 200
    refused = (403, "policy-not-authorized")
    assert error_of(await api.reader.post(C, json={"image": "busybox"})) == refused
    assert error_of(await api.reader.patch(f"{C}/{uuid}", json={"name": "new"})) == refused
    assert error_of(await api.reader.post(f"{C}/{uuid}/stop")) == refused
    assert error_of(await api.reader.delete(f"{C}/{uuid}")) == refused
    assert error_of(await api.client("nobody").get(f"{C}/{uuid}")) == refused


async def test_a_running_container_shows_what_its_node_sees(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    await api.world.place(uuid)
    await api.world.sees(
        uuid,
        SeenState.RUNNING,
        started_at=api.clock.now() - 90,
        addresses=[Address("net-1", "172.17.0.2", 4), Address("net-1", "fd00::2", 6)],
        ports=[80],
        image_command=["httpd"],
        image_entrypoint=["/init"],
        health="healthy",
        restarts=2,
    )
    view = (await api.member.get(f"{C}/{uuid}")).json()
    assert (view["status"], view["task_state"], view["status_detail"]) == ("Running", None, "Up 1 mins (healthy)")
    assert view["addresses"] == {
        "net-1": [
            {"addr": "172.17.0.2", "version": 4, "port": "", "subnet_id": "", "preserve_on_delete": False},
            {"addr": "fd00::2", "version": 6, "port": "", "subnet_id": "", "preserve_on_delete": False},
        ]
    }
    assert (view["ports"], view["command"], view["entrypoint"]) == ([80], ["httpd"], ["/init"])
    assert (view["health"], view["restarts"], view["exit_code"]) == ("healthy", 2, None)
    assert SPACED.fullmatch(view["started_at"])
    assert (await api.admin.get(f"{C}/{uuid}")).json()["host"] == "n1"


async def test_no_host_is_no_refusal_but_an_error_state(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    await api.world.cannot_place(uuid)
    view = (await api.member.get(f"{C}/{uuid}")).json()
    assert (view["status"], view["status_reason"]) == ("Error", "There are not enough hosts available.")


async def test_containers_of_a_lost_node_are_unknown(api: ApiWorld) -> None:
    uuid = await api.running()
    assert (await api.member.get(f"{C}/{uuid}")).json()["status"] == "Running"
    await api.world.node_dies()
    view = (await api.member.get(f"{C}/{uuid}")).json()
    assert (view["status"], view["status_detail"]) == ("Unknown", None)
    assert (await api.member.get(C)).json()["containers"][0]["status"] == "Unknown"


@pytest.mark.parametrize("name", ["web", "web.html", "web.json", "a.py", "app.tar"])
async def test_a_container_is_found_by_uuid_in_any_form_and_by_name(api: ApiWorld, name: str) -> None:
    uuid = (await api.create(name=name))["uuid"]
    for ident in (uuid, uuid.upper(), uuid.replace("-", ""), name):
        for url in (f"{C}/{ident}", f"{C}/{ident}/", f"{C}//{ident}", f"/containers/{ident}"):
            assert (await api.member.get(url)).json()["uuid"] == uuid, url


async def test_an_ambiguous_name_is_409(api: ApiWorld) -> None:
    await api.create(name="twin")
    await api.create(name="twin")
    assert error_of(await api.member.get(f"{C}/twin")) == (409, "conflict")


async def test_show_looks_at_all_projects_only_for_admins(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    url = f"{C}/{uuid}"
    assert (await api.member.get(url, params={"all_projects": "False"})).status_code == 200
    assert (await api.admin.get(url, params={"all_projects": "1"})).status_code == 200
    assert error_of(await api.member.get(url, params={"all_projects": "true"})) == (403, "policy-not-authorized")
    assert error_of(await api.member.get(url, params={"all_projects": "maybe"})) == (400, "invalid-value")
    assert (await api.member.get(url, params={"unknown": "x"})).status_code == 200


async def test_projects_do_not_see_each_other(api: ApiWorld) -> None:
    uuid = await api.running(name="web")
    for ident in (uuid, "web"):
        url = f"{C}/{ident}"
        missing = (404, "container-not-found")
        assert error_of(await api.other.get(url)) == missing
        assert error_of(await api.other.patch(url, json={"name": "mine"})) == missing
        assert error_of(await api.other.delete(url)) == missing
        for action in ("start", "stop", "reboot", "pause", "unpause", "kill", "rebuild"):
            assert error_of(await api.other.post(f"{url}/{action}")) == missing
        for action in ("logs", "attach", "top", "stats", "network_list", "container_actions"):
            assert error_of(await api.other.get(f"{url}/{action}")) == missing
        assert error_of(await api.other.post(f"{url}/execute", params={"command": "id"})) == missing
    assert (await api.other.get(C)).json()["containers"] == []


async def test_a_rename_needs_no_node(api: ApiWorld) -> None:
    uuid = await api.running(name="old")
    response = await api.member.patch(f"{C}/{uuid}", json={"name": "new", "auto_heal": True})
    assert response.status_code == 200
    view = response.json()
    assert (view["name"], view["auto_heal"]) == ("new", True)
    assert view["links"]
    assert (await api.member.get(f"{C}/new")).json()["uuid"] == uuid
    assert error_of(await api.member.get(f"{C}/old"))[0] == 404


@pytest.mark.parametrize("body", [{"image": "x1"}, {"cpu": 100}, {"memory": "1g"}, {"name": "!"}, {"auto_heal": 2}])
async def test_a_bad_change_is_refused(api: ApiWorld, body: dict[str, Any]) -> None:
    uuid = await api.running()
    assert error_of(await api.member.patch(f"{C}/{uuid}", json=body)) == (400, "schema-validation-error")


async def test_a_change_needs_a_state_that_allows_it(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    response = await api.member.patch(f"{C}/{uuid}", json={"name": "new"})
    assert error_of(response) == (409, "invalid-state-exception")
    assert f"Cannot update container {uuid} in Creating state" in response.json()["errors"][0]["title"]


async def test_a_rename_below_1_14_uses_its_own_url(api: ApiWorld) -> None:
    uuid = await api.running(name="old")
    client = api.at("1.13")
    assert (await client.post(f"{C}/{uuid}/rename", params={"name": "new"})).json()["name"] == "new"
    assert error_of(await client.post(f"{C}/{uuid}/rename", params={"name": "new"})) == (409, "conflict")
    assert error_of(await client.post(f"{C}/{uuid}/rename"))[0] == 400


async def test_resize_answers_before_the_node_does(api: ApiWorld) -> None:
    uuid = await api.running()
    response = await api.member.post(f"{C}/{uuid}/resize_container", json={"memory": 128})
    assert response.status_code == 202
    assert response.json()["memory"] == "128"


async def test_deletion_is_asynchronous(api: ApiWorld) -> None:
    uuid = await api.running()
    url = f"{C}/{uuid}"
    assert error_of(await api.member.delete(url)) == (409, "invalid-state-exception")
    response = await api.member.delete(url, params={"stop": "True", "force": "False", "all_projects": "False"})
    assert (response.status_code, response.content) == (204, b"")
    assert (await api.member.get(url)).json()["status"] == "Deleting"
    await api.world.reaped(uuid)
    assert error_of(await api.member.get(url)) == (404, "container-not-found")


async def test_forced_deletion_is_for_admins(api: ApiWorld) -> None:
    uuid = await api.running()
    url = f"{C}/{uuid}"
    assert error_of(await api.member.delete(url, params={"force": "true"})) == (403, "policy-not-authorized")
    assert error_of(await api.member.delete(url, params={"all_projects": "true"}))[0] == 403
    assert error_of(await api.member.delete(url, params={"now": "1"})) == (400, "invalid-value")
    assert error_of(await api.member.delete(url, params={"force": "maybe"})) == (400, "invalid-value")
    assert (await api.admin.delete(url, params={"force": "true", "all_projects": "true"})).status_code == 204


async def test_many_creates_at_once_never_pass_the_quota(api: ApiWorld) -> None:
    bodies = [api.member.post(C, json={"image": "busybox", "cpu": 0.1, "memory": 4}) for _ in range(50)]
    statuses = [response.status_code for response in await asyncio.gather(*bodies)]
    assert statuses.count(202) == 40
    assert statuses.count(403) == 10
    assert len((await api.member.get(C)).json()["containers"]) == 40
