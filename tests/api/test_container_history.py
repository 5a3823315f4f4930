# SPDX-License-Identifier: Apache-2.0
"""The history of what was asked of a container."""

import re

from support.api import ApiWorld, error_of
from zun.model.records import ActionEvent

C = "/v1/containers"
LINE = {
    "action",
    "container_uuid",
    "request_id",
    "user_id",
    "project_id",
    "start_time",
    "finish_time",
    "message",
    "why",
    "timings",
}


async def test_each_request_leaves_a_line_under_its_id_newest_first(api: ApiWorld) -> None:
    created = await api.member.post(C, json={"image": "busybox", "name": "web"})
    uuid = created.json()["uuid"]
    await api.world.running(uuid)
    api.clock.advance(1)
    stopped = await api.member.post(f"{C}/{uuid}/stop")
    lines = (await api.member.get(f"{C}/web/container_actions")).json()["containerActions"]
    assert [line["action"] for line in lines] == ["stop", "create"]
    ids = [response.headers["x-openstack-request-id"] for response in (stopped, created)]
    assert [line["request_id"] for line in lines] == ids
    assert set(lines[0]) == LINE
    assert (lines[0]["container_uuid"], lines[0]["user_id"], lines[0]["project_id"]) == (uuid, "u1", "p1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", lines[0]["start_time"])
    assert (lines[0]["finish_time"], lines[0]["message"]) == (None, None)


async def test_one_action_shows_its_steps_and_details_only_to_admins(api: ApiWorld) -> None:
    uuid = await api.running()
    response = await api.member.post(f"{C}/{uuid}/stop")
    request_id = response.headers["x-openstack-request-id"]
    now = api.clock.now()
    event = ActionEvent("compute__do_container_stop", now, now + 1, "Error", "the engine said no")
    await api.world.finishes(uuid, request_id, message="It did not stop.", events=[event])
    url = f"{C}/{uuid}/container_actions/{request_id}"
    action = (await api.member.get(url)).json()
    assert set(action) == LINE | {"events"}
    assert action["message"]
    assert action["finish_time"]
    step = action["events"][-1]
    assert (step["event"], step["result"], step["traceback"]) == ("compute__do_container_stop", "Error", None)
    assert (await api.admin.get(url)).json()["events"][-1]["traceback"] == "the engine said no"


async def test_an_unknown_request_is_404(api: ApiWorld) -> None:
    uuid = await api.running()
    assert error_of(await api.member.get(f"{C}/{uuid}/container_actions/req-none")) == (404, "resource-not-found")


async def test_history_outlives_the_container_for_its_owner_alone(api: ApiWorld) -> None:
    uuid = await api.running(name="web")
    await api.member.delete(f"{C}/{uuid}", params={"stop": "true"})
    await api.world.reaped(uuid)
    lines = (await api.member.get(f"{C}/{uuid}/container_actions")).json()["containerActions"]
    assert {line["action"] for line in lines} == {"create", "delete"}
    assert error_of(await api.other.get(f"{C}/{uuid}/container_actions")) == (404, "container-not-found")
    assert error_of(await api.member.get(f"{C}/web/container_actions")) == (404, "container-not-found")
