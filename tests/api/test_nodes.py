# SPDX-License-Identifier: Apache-2.0
"""`/v1/nodes`: what administrators are told of nodes, and draining."""

import time

from support.api import ApiWorld, error_of
from zun.model.moving import AliveRecord
from zun.model.records import NodeRecord
from zun.store import codec, keys
from zun.store.interface import Delete, Put


async def listed(api: ApiWorld) -> dict[str, str]:
    """The nodes with their states."""
    answer = await api.admin.get("/v1/nodes")
    assert answer.status_code == 200
    return {node["name"]: node["state"] for node in answer.json()["nodes"]}


async def test_nodes_tell_their_state(api: ApiWorld) -> None:
    for name in ("n2", "n3", "n4"):
        await api.world.node(name)
    await api.world.node_dies("n2")
    await api.world.put(keys.node_alive("n3"), AliveRecord(restarting=True, until=1.0))
    await api.admin.put("/v1/services/force_down?host=n4&binary=zun-compute&forced_down=true")
    await api.world.write(Put(keys.node("n5"), codec.encode(NodeRecord("n5", 5, 0.0))))
    assert await listed(api) == {"n1": "up", "n2": "lost", "n3": "restarting", "n4": "forced down", "n5": "new"}


async def test_a_node_shows_what_would_leave_it_and_why_the_rest_would_stay(api: ApiWorld) -> None:
    moving, staying = await api.running(name="moving", auto_heal=True), await api.running(name="staying")
    shown = (await api.admin.get("/v1/nodes/n1")).json()
    assert (shown["state"], shown["containers"], shown["draining"], shown["drained"]) == ("up", 2, False, False)
    assert [(one["uuid"], one["reason"]) for one in shown["movable"]] == [(moving, None)]
    assert [(one["uuid"], one["name"], one["reason"]) for one in shown["staying"]] == [
        (staying, "staying", "auto_heal is off")
    ]
    assert shown["cpu_used"] == 2.0


async def test_draining_is_switched_on_and_off_and_shown(api: ApiWorld) -> None:
    await api.running(name="moving", auto_heal=True)
    drained = await api.admin.post("/v1/nodes/n1/drain")
    assert (drained.status_code, drained.json()["draining"], drained.json()["drained"]) == (200, True, False)
    assert (await api.admin.get("/v1/nodes")).json()["nodes"][0]["draining"] is True
    assert (await api.admin.post("/v1/nodes/n1/undrain")).json()["draining"] is False


async def test_an_empty_node_is_drained_at_once(api: ApiWorld) -> None:
    assert (await api.admin.post("/v1/nodes/n1/drain")).json()["drained"] is True


async def test_it_is_said_when_so_many_are_gone_that_nothing_moves(api: ApiWorld) -> None:
    for name in ("n2", "n3", "n4"):
        await api.world.node(name)
    for name in ("n2", "n3"):
        await api.world.node_dies(name)
    found = (await api.admin.get("/v1/nodes")).json()
    assert (found["held_back"], found["gone"], found["counted"]) == (True, 2, 4)
    assert "zun_moves_held_back 1.0" in (await api.stranger.get("/metrics")).text
    await api.world.node_returns("n2")
    found = (await api.admin.get("/v1/nodes")).json()
    assert (found["held_back"], found["gone"], found["counted"]) == (False, 1, 4)
    assert "zun_moves_held_back 0.0" in (await api.stranger.get("/metrics")).text


async def test_nodes_are_for_administrators(api: ApiWorld) -> None:
    for method, path in (("GET", ""), ("GET", "/n1"), ("POST", "/n1/drain"), ("POST", "/n1/undrain")):
        assert error_of(await api.member.request(method, f"/v1/nodes{path}"))[0] == 403


async def test_a_node_that_nobody_registered_is_not_found(api: ApiWorld) -> None:
    for method, path in (("GET", ""), ("POST", "/drain"), ("POST", "/undrain")):
        assert error_of(await api.admin.request(method, f"/v1/nodes/nobody{path}")) == (404, "node-not-found")


async def test_what_is_live_on_a_node_that_restarts_is_asked_for_again_in_a_moment(api: ApiWorld) -> None:
    uuid = await api.running()
    await api.world.put(keys.node_alive("n1"), AliveRecord(restarting=True, until=1.0))
    answer = await api.member.get(f"/v1/containers/{uuid}/logs")
    assert error_of(answer)[0] == 503
    assert answer.json()["errors"][0]["detail"] == "Node n1 restarts; try again in a moment."
    assert (await api.member.get(f"/v1/containers/{uuid}")).json()["status"] == "Running"


async def test_lists_tell_it_when_a_lost_nodes_containers_are_held_back_and_when_not(api: ApiWorld) -> None:
    """Kept answers must not outlive what they say of other nodes."""
    uuid = await api.running(auto_heal=True)
    entry = api.world.entry(uuid)
    place = entry.place()
    assert place is not None
    place.heal_delay_seconds = 60.0
    await api.world.put(keys.place(uuid), place)
    for name in ("n2", "n3"):
        await api.world.node(name)

    async def reason() -> str:
        found = (await api.member.get("/v1/containers")).json()["containers"]
        return str(found[0]["status_reason"])

    await api.world.node_dies("n1")
    assert "the container moves to another at " in await reason()
    await api.world.node_dies("n2")
    assert await reason() == "Node n1 is lost, and so many others are that nothing moves until some return."
    api.clock.advance(100)
    await api.world.node_returns("n2")
    at = time.strftime("%H:%M:%S UTC", time.gmtime(api.clock.now() + 60))
    assert f"the container moves to another at {at}" in await reason()  # it is given the whole delay again
    await api.world.write(Delete(keys.node_alive("n2")), Delete(keys.node("n2")))
    assert "the container moves to another at " in await reason()
