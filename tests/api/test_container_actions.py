# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a container: each action's answer, what it leaves for the node, and in which states it is allowed."""

from typing import Any

import httpx
import pytest

from support.api import ApiWorld, error_of
from zun.drivers.runtime.types import ExecRequest
from zun.model.records import Address, Intent, SeenState
from zun.model.states import Action, Status, allows
from zun.services.nodelive_fake import FakeSession

C = "/v1/containers"


def last_intent(api: ApiWorld, uuid: str) -> Intent:
    return api.world.entry(uuid).record().intents[-1]


@pytest.mark.parametrize(
    ("action", "params", "expected"),
    [
        ("stop", {}, {"timeout_seconds": None}),
        ("stop", {"timeout": "0"}, {"timeout_seconds": 0}),
        ("stop", {"timeout": "30"}, {"timeout_seconds": 30}),
        ("reboot", {"timeout": "10"}, {"timeout_seconds": 10}),
        ("pause", {}, {}),
        ("kill", {}, {"signal": "SIGKILL"}),
        ("kill", {"signal": "None"}, {"signal": "SIGKILL"}),
        ("kill", {"signal": "HUP"}, {"signal": "SIGHUP"}),
        ("kill", {"signal": "sigterm"}, {"signal": "SIGTERM"}),
        ("kill", {"signal": "9"}, {"signal": "SIGKILL"}),
        ("rebuild", {}, {"run": True}),
        ("network_attach", {"network": "lab"}, {"network": "lab"}),
        ("network_attach", {"network": "lab", "fixed_ip": "10.9.0.20"}, {"network": "lab", "fixed_ip": "10.9.0.20"}),
    ],
)
@pytest.mark.parametrize("where", ["query", "body"])
async def test_an_action_is_accepted_and_waits_for_the_node(
    api: ApiWorld, action: str, params: dict[str, str], expected: dict[str, Any], where: str
) -> None:
    uuid = await api.running()
    sent: dict[str, Any] = {"params": params} if where == "query" else {"json": params}
    response = await api.member.post(f"{C}/{uuid}/{action}", **sent)
    assert response.status_code == (200 if action == "network_attach" else 202)
    assert response.content == b"null"
    intent = last_intent(api, uuid)
    assert str(intent.verb) == action
    assert intent.request_id == response.headers["x-openstack-request-id"]
    assert {name: getattr(intent, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("stop", {"timeout": "-1"}),
        ("stop", {"timeout": "soon"}),
        ("reboot", {"timeout": "1.5"}),
        ("kill", {"signal": "SIGNOTHING"}),
        ("kill", {"signal": "99"}),
        ("rebuild", {"image": "Not An Image"}),
        ("rebuild", {"image_driver": "oci"}),
        ("rebuild", {"image_driver": "glance"}),
        ("commit", {}),
        ("commit", {"repository": ""}),
        ("commit", {"repository": "Upper/Case"}),
        ("network_attach", {"network": "lab", "port": "p"}),
        ("network_attach", {"port": "p"}),
        ("network_attach", {"network": "lab", "fixed_ip": "10.9.0.300"}),
        ("network_detach", {}),
        ("network_detach", {"network": "lab", "port": "p"}),
        ("execute", {}),
        ("execute", {"command": ""}),
        ("execute", {"command": "echo 'open"}),
        ("execute", {"command": "ls", "run": "1"}),
        ("execute_resize", {"exec_id": "x", "h": "1", "w": "1"}),
        ("execute_resize", {"exec_id": "a" * 64, "h": "0", "w": "1"}),
        ("resize", {"h": "24"}),
        ("resize", {"h": "24", "w": "wide"}),
        ("put_archive", {"path": "/"}),
        ("put_archive", {"path": "/", "data": "not base64!"}),
        ("resize_container", {"cpu": "200"}),
    ],
)
async def test_a_bad_argument_is_400_and_asks_nothing_of_the_node(
    api: ApiWorld, action: str, params: dict[str, str]
) -> None:
    uuid = await api.running()
    before = api.world.entry(uuid).record().seq
    response = await api.member.post(f"{C}/{uuid}/{action}", json=params)
    assert error_of(response)[0] == 400, response.text
    assert api.world.entry(uuid).record().seq == before


async def test_status_follows_the_request_at_once(api: ApiWorld) -> None:
    for action, status, task in (
        ("reboot", "Restarting", "container_rebooting"),
        ("rebuild", "Rebuilding", "container_rebuilding"),
        ("stop", "Running", "container_stopping"),
        ("kill", "Running", "container_killing"),
        ("pause", "Running", "container_pausing"),
    ):
        uuid = await api.running()
        await api.member.post(f"{C}/{uuid}/{action}")
        view = (await api.member.get(f"{C}/{uuid}")).json()
        assert (view["status"], view["task_state"]) == (status, task)


async def test_commit_answers_with_the_images_uuid(api: ApiWorld) -> None:
    uuid = await api.running()
    response = await api.member.post(f"{C}/{uuid}/commit", params={"repository": "mine", "tag": "v1"})
    assert response.status_code == 202
    assert last_intent(api, uuid).image_uuid == response.json()["uuid"]


async def test_security_groups_need_a_service_that_is_not_there(api: ApiWorld) -> None:
    uuid = await api.running()
    for action in ("add_security_group", "remove_security_group"):
        response = await api.at("1.14").post(f"{C}/{uuid}/{action}", params={"name": "default"})
        assert error_of(response)[0] == 400
        assert "not configured" in response.json()["errors"][0]["title"]


async def test_networks_are_listed_in_the_shape_of_the_version(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    assert (await api.member.get(f"{C}/{uuid}/network_list")).json() == {"networks": []}
    await api.world.place(uuid)
    await api.world.sees(
        uuid,
        SeenState.RUNNING,
        addresses=[Address("n", "10.9.0.20", 4, "p", "s4"), Address("n", "fd00::2", 6, "p", "s6")],
    )
    grouped = (await api.member.get(f"{C}/{uuid}/network_list")).json()["networks"]
    assert grouped == [
        {
            "net_id": "n",
            "port_id": "p",
            "fixed_ips": [
                {"ip_address": "10.9.0.20", "version": 4, "subnet_id": "s4"},
                {"ip_address": "fd00::2", "version": 6, "subnet_id": "s6"},
            ],
        }
    ]
    flat = (await api.at("1.17").get(f"{C}/{uuid}/network_list")).json()["networks"]
    assert flat[0] == {"net_id": "n", "port_id": "p", "subnet_id": "s4", "version": 4, "ip_address": "10.9.0.20"}
    assert len(flat) == 2


async def test_a_network_it_is_on_already_or_not_at_all_is_400(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    await api.world.place(uuid)
    await api.world.sees(uuid, SeenState.RUNNING, addresses=[Address("net-2", "10.9.0.20", 4)])
    url = f"{C}/{uuid}"
    assert error_of(await api.member.post(f"{url}/network_attach", params={"network": "lab"}))[0] == 400
    assert error_of(await api.member.post(f"{url}/network_detach", params={"network": "bridge"}))[0] == 400
    assert error_of(await api.member.post(f"{url}/network_attach", params={"network": "no-such"})) == (
        404,
        "network-not-found",
    )
    assert (await api.member.post(f"{url}/network_detach", params={"network": "lab"})).status_code == 202


async def test_more_than_sixteen_waiting_actions_are_refused(api: ApiWorld) -> None:
    uuid = await api.running()
    responses = [await api.member.post(f"{C}/{uuid}/kill", params={"signal": "HUP"}) for _ in range(17)]
    assert [response.status_code for response in responses] == [202] * 16 + [409]
    assert error_of(responses[-1])[0] == 409


CALLS: dict[Action, tuple[str, str, dict[str, str]]] = {
    Action.START: ("POST", "start", {}),
    Action.STOP: ("POST", "stop", {}),
    Action.REBOOT: ("POST", "reboot", {}),
    Action.REBUILD: ("POST", "rebuild", {}),
    Action.PAUSE: ("POST", "pause", {}),
    Action.UNPAUSE: ("POST", "unpause", {}),
    Action.KILL: ("POST", "kill", {}),
    Action.EXECUTE: ("POST", "execute", {"command": "true"}),
    Action.EXECUTE_RESIZE: ("POST", "execute_resize", {"exec_id": "a" * 64, "h": "1", "w": "1"}),
    Action.ATTACH: ("GET", "attach", {}),
    Action.RESIZE: ("POST", "resize", {"h": "1", "w": "1"}),
    Action.TOP: ("GET", "top", {}),
    Action.STATS: ("GET", "stats", {}),
    Action.LOGS: ("GET", "logs", {}),
    Action.GET_ARCHIVE: ("GET", "get_archive", {"path": "/etc"}),
    Action.PUT_ARCHIVE: ("POST", "put_archive", {"path": "/etc", "data": ""}),
    Action.COMMIT: ("POST", "commit", {"repository": "mine"}),
    Action.RESIZE_CONTAINER: ("POST", "resize_container", {}),
    Action.DELETE: ("DELETE", "", {}),
    Action.DELETE_AFTER_STOP: ("DELETE", "", {"stop": "true"}),
    Action.DELETE_FORCE: ("DELETE", "", {"force": "true"}),
}

SEEN = {
    Status.CREATING: SeenState.ABSENT,
    Status.CREATED: SeenState.CREATED,
    Status.RUNNING: SeenState.RUNNING,
    Status.STOPPED: SeenState.EXITED,
    Status.PAUSED: SeenState.PAUSED,
    Status.RESTARTING: SeenState.RESTARTING,
    Status.DEAD: SeenState.DEAD,
    Status.ERROR: SeenState.MISSING,
    Status.UNKNOWN: SeenState.UNKNOWN,
}


async def nothing(_: FakeSession, __: ExecRequest | None) -> int:
    return 0


async def _call(client: httpx.AsyncClient, url: str, action: Action) -> httpx.Response:
    method, name, params = CALLS[action]
    return await client.request(method, f"{url}/{name}" if name else url, params=params)


@pytest.mark.parametrize("status", SEEN)
async def test_an_action_in_a_state_that_does_not_allow_it_is_409(api: ApiWorld, status: Status) -> None:
    """The node of this world has nothing to show, so an allowed live action may be refused for other reasons."""
    api.node.programs["true"] = nothing
    for action in CALLS:
        uuid = (await api.create(api.admin, cpu=0.1, memory=4, interactive=True))["uuid"]
        await api.world.place(uuid)
        await api.world.sees(uuid, SEEN[status])
        response = await _call(api.admin, f"{C}/{uuid}", action)
        if allows(action, status):
            assert response.status_code < 500, (action, response.text)
            assert "invalid-state-exception" not in response.text, action
        else:
            assert error_of(response) == (409, "invalid-state-exception"), action
            title = response.json()["errors"][0]["title"]
            assert title.startswith(f"Cannot {action} container {uuid} in {status} state"), title
        await api.world.reaped(uuid)
