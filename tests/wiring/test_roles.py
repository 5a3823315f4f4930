# SPDX-License-Identifier: Apache-2.0
"""The roles as processes over one real etcd: two of each work as one service, and outlive each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.roles import Api, Cluster, Role, cluster, create, running, shown
from support.service import eventually

pytestmark = pytest.mark.etcd

QUICK = "[controller]\nlease_ttl_seconds = 2\n"
LEADS = "This process leads now."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An etcd for the tests of this file."""
    with cluster(tmp_path_factory.mktemp("roles")) as made:
        yield made


@pytest.fixture(scope="module")
def apis(house: Cluster) -> tuple[Api, Api]:
    """Two API servers."""
    made = house.api("api-1"), house.api("api-2")
    for one in made:
        one.start()
    return made


@pytest.fixture(scope="module")
def nodes(house: Cluster) -> tuple[Role, Role]:
    """Two nodes."""
    made = house.compute("n1"), house.compute("n2")
    for one in made:
        one.start()
    return made


@pytest.fixture
def controllers(house: Cluster) -> Iterator[tuple[Role, Role]]:
    """Two controllers, the first of which leads."""
    made = house.controller("controller-1", QUICK), house.controller("controller-2", QUICK)
    made[0].start()
    eventually(lambda: LEADS in made[0].said(), "the first controller leads")
    made[1].start()
    yield made
    for one in made:
        one.close()
        one.log.unlink()


def test_what_one_api_server_acknowledged_the_other_shows_at_once(apis: tuple[Api, Api]) -> None:
    with apis[0].client() as first, apis[1].client() as second:
        for number in range(20):
            made_at, asked_at = (first, second) if number % 2 else (second, first)
            uuid = create(made_at, name=f"seen-{number}")
            assert shown(asked_at, uuid)["name"] == f"seen-{number}"
            assert uuid in [one["uuid"] for one in asked_at.get("/v1/containers").json()["containers"]]


def test_containers_run_on_every_node(
    apis: tuple[Api, Api], controllers: tuple[Role, Role], nodes: tuple[Role, Role]
) -> None:
    with apis[0].client() as client:
        hosts = {running(client, create(client, name=f"spread-{number}"))["host"] for number in range(10)}
    assert hosts == {"n1", "n2"}


def test_the_doctor_names_every_process_and_who_of_them_leads(
    apis: tuple[Api, Api], controllers: tuple[Role, Role], nodes: tuple[Role, Role]
) -> None:
    with apis[0].client() as client:

        def said(about: str) -> str:
            findings = client.get("/v1/doctor").json()["findings"]
            return "; ".join(one["what"] for one in findings if one["about"] == about)

        pids = [one.pid for one in (*apis, *controllers)]
        eventually(lambda: all(f":{pid}" in said("processes") for pid in pids), "all processes are listed")
        assert said("controllers").endswith(f":{controllers[0].pid} leads")
        assert said("nodes") == "2 of 2 nodes report, are reached and have nothing to tell"
        gone = controllers[1].pid
        controllers[1].stop()
        eventually(lambda: f":{gone}" not in said("processes"), "who was stopped is not listed any more")


def test_when_the_leader_is_killed_the_other_controller_places(
    apis: tuple[Api, Api], controllers: tuple[Role, Role], nodes: tuple[Role, Role]
) -> None:
    leader, other = controllers
    assert LEADS not in other.said()
    leader.kill()
    with apis[0].client() as client:
        running(client, create(client, name="after-the-leader"))
    assert LEADS in other.said()


def test_a_leader_that_is_stopped_gives_the_role_back_before_its_lease_ends(
    house: Cluster, apis: tuple[Api, Api], nodes: tuple[Role, Role]
) -> None:
    leader, other = (house.controller(name, "[controller]\nlease_ttl_seconds = 300\n") for name in ("slow-1", "slow-2"))
    leader.start()
    eventually(lambda: LEADS in leader.said(), "the first controller leads")
    other.start()
    assert leader.stop() == 0
    with apis[0].client() as client:
        running(client, create(client, name="handed-over"))
    assert LEADS in other.said()
    assert other.stop() == 0


def test_a_leader_that_slept_past_its_lease_writes_nothing_more(
    apis: tuple[Api, Api], controllers: tuple[Role, Role], nodes: tuple[Role, Role]
) -> None:
    sleeper, other = controllers
    with apis[0].client() as client:
        sleeper.freeze()
        during = [create(client, name=f"asleep-{number}") for number in range(5)]
        places = {uuid: running(client, uuid)["host"] for uuid in during}
        sleeper.thaw()
        eventually(lambda: "This process leads no longer" in sleeper.said(), "the sleeper learns that it was replaced")
        after = [create(client, name=f"awake-{number}") for number in range(5)]
        places |= {uuid: running(client, uuid)["host"] for uuid in after}
        assert {uuid: shown(client, uuid)["host"] for uuid in places} == places
    assert sleeper.said().count(LEADS) == 1
    assert other.said().count(LEADS) == 1
    assert sleeper.complaints() == []


def test_all_processes_can_be_stopped_and_started_again_in_any_order(tmp_path: Path) -> None:
    with cluster(tmp_path) as small:
        api, controller, compute = small.api("api"), small.controller("controller"), small.compute("n1")
        for role in (api, controller, compute):
            role.start()
        with api.client() as client:
            uuid = create(client, name="known-before")
            running(client, uuid)
        for role in (api, controller, compute):
            assert role.stop() == 0
            assert role.complaints() == []
        for role in (compute, controller, api):
            role.start()
        with api.client() as client:
            assert shown(client, uuid)["name"] == "known-before"
            running(client, create(client, name="made-after"))


@pytest.mark.parametrize("role", ["api", "controller", "compute"])
def test_sigterm_ends_each_role_cleanly(house: Cluster, role: str) -> None:
    house.controller("first").start()  # a node waits for a store in which somebody has begun
    made = {"api": house.api, "controller": house.controller, "compute": house.compute}[role](f"ends-{role}")
    made.start()
    assert made.stop() == 0
    assert made.complaints() == []
