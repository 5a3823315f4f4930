# SPDX-License-Identifier: Apache-2.0
"""Capsules on containerd, where they are pods: what people do with them, crashes, and that nothing is left behind."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.capsules import WAITS, Capsules, fall_ill, template
from support.containerd_engine import Containerd, containerd
from support.service import Service, eventually, service

pytestmark = pytest.mark.containerd

SERVE = ["sh", "-c", "mkdir /www; echo from the neighbour > /www/index.html; exec httpd -f -p 8080 -h /www"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Containerd]:
    with containerd() as running:
        yield running


@pytest.fixture(scope="module")
def house(engine: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    state = tmp_path_factory.mktemp("house") / "state"
    with service(state, runtime="cri", settings=engine.settings) as running:
        yield running


@pytest.fixture
def mine(house: Service) -> Iterator[Capsules]:
    made = Capsules(house)
    with made.http:
        yield made


def objects(engine: Containerd, capsule: str = "") -> list[str]:
    """The engine's containers, sandboxes among them, of one capsule or of all."""
    chosen = [f'labels."io.zun.capsule"=={capsule}'] if capsule else []
    return engine.ctr("containers", "list", "--quiet", *chosen).split()


def test_a_capsule_has_its_whole_life(mine: Capsules, engine: Containerd) -> None:
    uuid = mine.make("shop", SERVE, WAITS, init=["sh", "-c", "echo prepared"])["uuid"]
    found = mine.until("shop", "Running")
    one, other = (container["uuid"] for container in found["containers"])
    (network,) = found["addresses"]
    assert network == engine.bridge
    assert mine.inside(one, "hostname") == mine.inside(other, "hostname") == "shop"
    assert found["addresses"][network][0]["addr"] in mine.inside(other, "ip", "addr")
    assert found["addresses"][network][0]["addr"] in mine.inside(other, "cat", "/etc/hosts")
    fetch = ("wget", "-qO-", "http://127.0.0.1:8080/")
    assert eventually(lambda: mine.inside(other, *fetch), "the neighbour answers") == "from the neighbour"
    init = found["init_containers"][0]
    assert (init["status"], init["exit_code"]) == ("Stopped", 0)
    assert mine.http.get(f"/v1/containers/{init['uuid']}/logs").json() == "prepared\n"
    assert mine.http.get(f"/v1/containers/{one}/stats").json()["MEM USAGE(MiB)"] > 0
    assert "httpd" in mine.http.get(f"/v1/containers/{one}/top").text
    assert "httpd" not in mine.http.get(f"/v1/containers/{other}/top").text
    assert len(objects(engine, uuid)) == 4
    mine.delete("shop")
    assert objects(engine, uuid) == []


def test_a_container_that_fails_its_probe_is_started_again_and_asked_at_its_address(mine: Capsules) -> None:
    fall_ill(mine)


def test_nobody_is_started_again_because_the_engine_was_away(mine: Capsules, engine: Containerd) -> None:
    probe = {
        "exec": {"command": ["sh", "-c", "! test -e /tmp/ill"]},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
        "failureThreshold": 1,
    }
    mine.make("patient", WAITS, livenessProbe=probe)
    eventually(lambda: mine.show("patient")["containers"][0]["health"] == "healthy", "it is well")
    asked = mine.show("patient")["containers"][0]["started_at"]
    engine.kill()
    time.sleep(4)  # several of its times to be asked pass
    engine.start()
    time.sleep(3)
    found = mine.show("patient")["containers"][0]
    assert (found["restarts"], found["started_at"], found["status"]) == (0, asked, "Running")
    eventually(lambda: mine.runs_well(found["uuid"], "touch", "/tmp/ill"), "it falls ill")
    eventually(lambda: mine.show("patient")["containers"][0]["restarts"] == 1, "it is asked again")
    mine.delete("patient")


def test_containers_are_started_again_each_by_itself(mine: Capsules) -> None:
    mine.make("flapping", ["sh", "-c", "echo once; sleep 0.5; exit 1"], WAITS, policy="OnFailure")
    eventually(lambda: mine.show("flapping")["containers"][0]["restarts"] >= 2, "it is started again")
    found = mine.show("flapping")
    assert found["status"] == "Running"
    assert found["containers"][1]["restarts"] == 0
    log = mine.http.get(f"/v1/containers/{found['containers'][0]['uuid']}/logs").json()
    assert log.count("once") >= 2
    mine.delete("flapping")


def test_outcomes_are_told(mine: Capsules) -> None:
    mine.make("brief", ["true"], policy="OnFailure")
    mine.make("failing", WAITS, init=["sh", "-c", "exit 3"], policy="Never")
    mine.make("missing", ["no-such-program"])
    mine.until("brief", "Stopped")
    assert "exit code 3" in mine.until("failing", "Error")["status_reason"]
    assert "no-such-program" in mine.until("missing", "Error")["status_reason"]
    for name in ("brief", "failing", "missing"):
        mine.delete(name)


def test_volumes_are_shared_and_limits_hold(mine: Capsules) -> None:
    made = template("bounded", WAITS, init=["sh", "-c", "echo ready > /data/file"])
    made["spec"]["volumes"] = [{"name": "data", "local": {}}]
    mount = {"name": "data", "mountPath": "/data"}
    made["spec"]["initContainers"][0]["volumeMounts"] = [mount]
    made["spec"]["containers"][0] |= {
        "volumeMounts": [mount | {"readOnly": True}],
        "resources": {"requests": {"cpu": 0.5, "memory": 64}},
    }
    assert mine.http.post("/v1/capsules", json={"template": made}).status_code == 202
    uuid = mine.until("bounded", "Running")["containers"][0]["uuid"]
    assert mine.inside(uuid, "cat", "/data/file") == "ready"
    refused = mine.http.post(f"/v1/containers/{uuid}/execute", json={"command": ["touch", "/data/mine"]})
    assert refused.json()["exit_code"] != 0
    assert mine.http.get(f"/v1/containers/{uuid}/stats").json()["MEM LIMIT(MiB)"] == 64
    mine.delete("bounded")


def test_a_container_may_use_more_than_it_asked_for_and_is_weighed_by_that(mine: Capsules, engine: Containerd) -> None:
    resources = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": 1, "memory": "64Mi"}}
    uuid = mine.make("bursting", WAITS, resources=resources)["uuid"]
    found = mine.until("bursting", "Running")
    assert (found["cpu"], found["memory"]) == (0.25, "32")
    told = [json.loads(engine.ctr("containers", "info", one))["Spec"] for one in objects(engine, uuid)]
    (limits,) = [one["linux"]["resources"] for one in told if one["linux"]["resources"].get("memory", {}).get("limit")]
    assert (limits["cpu"]["quota"], limits["cpu"]["shares"], limits["memory"]["limit"]) == (100_000, 256, 64 << 20)
    mine.delete("bursting")


def test_containers_are_told_to_end_before_they_are_removed(mine: Capsules) -> None:
    mine.say_goodbye("goodbye")


def test_a_deletion_by_force_ends_the_grace_of_another(mine: Capsules, engine: Containerd) -> None:
    uuid = mine.cling()
    assert objects(engine, uuid) == []


def test_a_lost_sandbox_is_made_anew(mine: Capsules, engine: Containerd) -> None:
    uuid = mine.make("lost", WAITS)["uuid"]
    mine.until("lost", "Running")
    wanted = f'labels."io.zun.capsule"=={uuid},labels."io.zun.sandbox"==1'
    (sandbox,) = engine.ctr("containers", "list", "--quiet", wanted).split()
    engine.ctr("tasks", "kill", "--signal", "SIGKILL", sandbox)
    eventually(lambda: mine.show("lost")["containers"][0]["restarts"] == 1, "it is made anew")
    mine.until("lost", "Running")
    assert sandbox not in objects(engine, uuid)
    assert len(objects(engine, uuid)) == 2
    mine.delete("lost")


def test_many_capsules_made_and_deleted_side_by_side_leave_nothing(mine: Capsules, engine: Containerd) -> None:
    before = len(objects(engine))

    assert mine.come_and_go(8) == []
    eventually(lambda: len(objects(engine)) == before, "nothing of them is left in the engine")


@pytest.mark.timeout(300)
def test_a_service_that_is_killed_while_it_makes_capsules_ends_where_it_would_have(
    engine: Containerd, tmp_path: Path
) -> None:
    before = len(objects(engine))
    with service(tmp_path / "state", runtime="cri", settings=engine.settings) as crashing:
        people, names = Capsules(crashing), [f"crash-{number}" for number in range(4)]
        with people.http as http:
            for number, name in enumerate(names):
                people.make(name, WAITS, ["sh", "-c", "sleep 2; exit 1"], init=["sleep", "0.2"])
                crashing.give_time(0.1 + 0.2 * number)
                crashing.kill()
                crashing.start()
            for name in names:
                people.until(name, "Running")
            for name in names:
                assert http.delete(f"/v1/capsules/{name}").status_code == 204
            crashing.kill()
            crashing.start()
            for name in names:
                people.until(name, "gone")
            eventually(lambda: len(objects(engine)) == before, "nothing of them is left in the engine")


@pytest.mark.timeout(300)
def test_an_engine_that_is_killed_while_capsules_are_made_leaves_nothing_behind(tmp_path: Path) -> None:
    with containerd() as engine:
        told = f"{engine.settings}upkeep_seconds = 1\n"
        with service(tmp_path / "state", runtime="cri", settings=told) as house:
            people, names = Capsules(house), [f"engine-{number}" for number in range(6)]
            with people.http as http:
                for number, name in enumerate(names):
                    people.make(name, WAITS, init=["sleep", "0.2"])
                    house.give_time(0.1 * number)
                    if number % 2:
                        engine.kill()
                        engine.start()
                for name in names:
                    people.until(name, "Running")
                for name in names:
                    assert http.delete(f"/v1/capsules/{name}").status_code == 204
                house.give_time(0.2)
                engine.kill()
                engine.start()
                for name in names:
                    people.until(name, "gone")
            eventually(lambda: not any(engine.leftovers().values()), "nothing is left", seconds=90)
