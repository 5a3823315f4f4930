# SPDX-License-Identifier: Apache-2.0
"""Capsules on a real engine: a conversation as strict clients hold it, what containers share, crashes, and that nothing is left behind."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scenarios.conftest import SETTINGS
from support import docker_engine
from support.capsules import WAITS, Capsules, fall_ill, template
from support.service import Service, eventually, service
from support.stage import IMAGE
from zun.model.project_space import project_space


def objects(house: Service, *labels: str) -> list[dict[str, Any]]:
    """What the engine has of this service."""
    filters = json.dumps({"label": [f"io.zun.owner={house.owner}", *labels]})
    found = json.loads(docker_engine.call("GET", "/containers/json", all="1", filters=filters)[1])
    return [dict(one) for one in found]


@pytest.fixture
def mine(house: Service) -> Iterator[Capsules]:
    made = Capsules(house)
    with made.http:
        yield made


def strictly(text: str | None) -> datetime | None:
    """A time in the one form that the strictest client reads."""
    if text is None:
        return None
    assert "T" not in text
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007


def test_a_conversation_as_gophercloud_holds_it(house: Service) -> None:
    text = f"""
kind: capsule
capsuleVersion: beta
metadata:
  name: default-web
  labels: {{PodName: web, NodeName: vk}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - image: {IMAGE}
      command: [sleep, "1000000"]
      env: {{A: "1"}}
      imagePullPolicy: IfNotPresent
      resources: {{}}
      workDir: /tmp
"""
    with house.client(version="1.32") as http:
        made = http.post("/v1/capsules", json={"template": text})
        assert made.status_code == 202, made.text
        uuid = made.json()["uuid"]
        found = eventually(
            lambda: (v := http.get("/v1/capsules/default-web").json())["status"] == "Running" and v, "it runs"
        )
        assert found["uuid"] == uuid
        assert strictly(found["created_at"])
        assert strictly(found["updated_at"])
        (container,) = found["containers"]
        assert strictly(container["started_at"])
        strictly(container["updated_at"])
        assert isinstance(found["memory"], str)
        assert isinstance(found["cpu"], float | int)
        assert isinstance(container["memory"], str)
        assert isinstance(container["disk"], int)
        assert {type(value) for value in found["restart_policy"].values()} == {str}
        assert found["labels"] == {"PodName": "web", "NodeName": "vk"}
        (address,) = [one for there in found["addresses"].values() for one in there]
        assert (address["version"], type(address["addr"]), type(address["port"])) == (4, str, str)
        assert container["command"] == WAITS
        listed = http.get("/v1/capsules", params={"all_projects": "true"}).json()
        assert [one["uuid"] for one in listed["capsules"] if one["labels"].get("NodeName") == "vk"] == [uuid]
        assert http.delete("/v1/capsules/default-web").status_code == 204
        statuses = set()

        def gone() -> bool:
            answer = http.get("/v1/capsules/default-web")
            statuses.add(answer.json().get("status") if answer.status_code == 200 else 404)
            return answer.status_code == 404

        eventually(gone, "it is gone")
        assert statuses <= {"Deleting", "Deleted", 404}


def test_containers_share_an_address_and_a_name_and_reach_each_other(mine: Capsules) -> None:
    serve = ["sh", "-c", "mkdir /www; echo from the neighbour > /www/index.html; exec httpd -f -p 8080 -h /www"]
    mine.make("sharing", serve, WAITS)
    found = mine.until("sharing", "Running")
    one, other = (container["uuid"] for container in found["containers"])
    assert mine.inside(one, "hostname") == mine.inside(other, "hostname") == "sharing"
    (address,) = [one["addr"] for there in found["addresses"].values() for one in there]
    assert address in mine.inside(other, "ip", "addr")
    page = eventually(lambda: mine.inside(other, "wget", "-qO-", "http://127.0.0.1:8080/"), "the neighbour answers")
    assert page == "from the neighbour"
    mine.delete("sharing")


def test_init_containers_prepare_what_the_others_find(mine: Capsules) -> None:
    text = template(
        "prepared", ["sh", "-c", "cat /data/file; sleep 1000000"], init=["sh", "-c", "echo ready > /data/file"]
    )
    text["spec"]["volumes"] = [{"name": "data", "local": {"source": "capsule-test-data"}}]
    text["spec"]["initContainers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    text["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data", "readOnly": True}]
    assert mine.http.post("/v1/capsules", json={"template": text}).status_code == 202
    found = mine.until("prepared", "Running")
    (container,) = found["containers"]
    eventually(
        lambda: mine.http.get(f"/v1/containers/{container['uuid']}/logs").json() == "ready\n", "it has read the file"
    )
    refused = mine.http.post(f"/v1/containers/{container['uuid']}/execute", json={"command": ["touch", "/data/mine"]})
    assert refused.json()["exit_code"] != 0
    assert found["init_containers"][0]["exit_code"] == 0
    mine.delete("prepared")
    docker_engine.call("DELETE", f"/volumes/zun-{project_space(mine.house.project)}-capsule-test-data")


def test_a_container_that_fails_its_probe_is_started_again_and_asked_at_its_address(mine: Capsules) -> None:
    fall_ill(mine)


def test_limits_hold_for_each_container(mine: Capsules) -> None:
    mine.make("bounded", WAITS, resources={"requests": {"cpu": 0.5, "memory": 64}})
    uuid = mine.until("bounded", "Running")["containers"][0]["uuid"]
    (found,) = objects(mine.house, f"io.zun.uuid={uuid}")
    host = json.loads(docker_engine.call("GET", f"/containers/{found['Id']}/json")[1])["HostConfig"]
    assert (host["NanoCpus"], host["Memory"]) == (500_000_000, 64 << 20)
    mine.delete("bounded")


def test_a_container_may_use_more_than_it_asked_for_and_is_weighed_by_that(mine: Capsules) -> None:
    resources = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": 1, "memory": "64Mi"}}
    mine.make("bursting", WAITS, resources=resources)
    found = mine.until("bursting", "Running")
    assert (found["cpu"], found["memory"]) == (0.25, "32")
    (engine,) = objects(mine.house, f"io.zun.uuid={found['containers'][0]['uuid']}")
    host = json.loads(docker_engine.call("GET", f"/containers/{engine['Id']}/json")[1])["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["CpuShares"]) == (1_000_000_000, 64 << 20, 256)
    mine.delete("bursting")


def test_containers_are_told_to_end_before_they_are_removed(mine: Capsules) -> None:
    mine.say_goodbye("capsule-test-goodbye")
    docker_engine.call("DELETE", f"/volumes/zun-{project_space(mine.house.project)}-capsule-test-goodbye")


def test_a_deletion_by_force_ends_the_grace_of_another(mine: Capsules) -> None:
    mine.cling()


def test_a_failing_init_container_is_the_end_when_nothing_is_to_be_started_again(mine: Capsules) -> None:
    mine.make("failing", WAITS, init=["sh", "-c", "exit 3"], policy="Never")
    assert "exit code 3" in mine.until("failing", "Error")["status_reason"]
    mine.delete("failing")


def test_what_ended_well_is_stopped(mine: Capsules) -> None:
    mine.make("brief", ["true"], ["true"], policy="OnFailure")
    mine.until("brief", "Stopped")
    mine.delete("brief")


def test_an_absent_image_is_an_error_that_says_so(mine: Capsules) -> None:
    text = template("imageless", WAITS)
    text["spec"]["containers"][0]["image"] = "127.0.0.1:9/none/such:1"
    assert mine.http.post("/v1/capsules", json={"template": text}).status_code == 202
    assert "part-0" in mine.until("imageless", "Error")["status_reason"]
    mine.delete("imageless")


@pytest.mark.parametrize("how", ["killed", "removed"])
def test_a_lost_sandbox_is_made_anew(mine: Capsules, how: str) -> None:
    name = f"lost-{how}"
    uuid = mine.make(name, WAITS)["uuid"]
    mine.until(name, "Running")
    (sandbox,) = objects(mine.house, f"io.zun.capsule={uuid}", "io.zun.sandbox")
    path = f"/containers/{sandbox['Id']}"
    if how == "killed":
        docker_engine.call("POST", f"{path}/kill", signal="KILL")
    else:
        docker_engine.call("DELETE", path, force="1")
    eventually(lambda: mine.show(name)["containers"][0]["restarts"] == 1, "it is made anew")
    mine.until(name, "Running")
    assert len(objects(mine.house, f"io.zun.capsule={uuid}")) == 2
    mine.delete(name)


def test_two_capsules_of_one_name_in_two_projects_are_two(mine: Capsules, house: Service) -> None:
    other = Capsules(house, house.let_in("carla", "elsewhere", "member"))
    with other.http:
        one, two = mine.make("same", WAITS)["uuid"], other.make("same", WAITS)["uuid"]
        assert mine.until("same", "Running")["uuid"] == one
        assert other.until("same", "Running")["uuid"] == two
        mine.delete(one)  # an administrator who finds none of the name at home is shown the others'
        assert other.show("same")["status"] == "Running"
        other.delete("same")
    assert not objects(house, f"io.zun.capsule={one}")


def test_many_capsules_made_and_deleted_side_by_side_leave_nothing(mine: Capsules, house: Service) -> None:
    before = len(objects(house))

    assert mine.come_and_go(8) == []
    eventually(lambda: len(objects(house)) == before, "nothing of them is left in the engine")


@pytest.fixture
def crashing(tmp_path: Path, house: Service) -> Iterator[Service]:
    with service(tmp_path / "state", runtime="docker", settings=SETTINGS) as made:
        yield made


@pytest.mark.timeout(300)
def test_a_service_that_is_killed_while_it_makes_capsules_ends_where_it_would_have(crashing: Service) -> None:
    people = Capsules(crashing)
    with people.http as http:
        names = [f"crash-{number}" for number in range(4)]
        for number, name in enumerate(names):
            people.make(name, WAITS, ["sh", "-c", "sleep 2; exit 1"], init=["sleep", "0.2"])
            crashing.give_time(0.15 + 0.25 * number)
            crashing.kill()
            crashing.start()
        for name in names:
            people.until(name, "Running")
        sandboxes = objects(crashing, "io.zun.sandbox")
        assert len(sandboxes) == len(names)
        assert len(objects(crashing)) == len(names) * 4
        deleted = [http.delete(f"/v1/capsules/{name}").status_code for name in names]
        assert set(deleted) == {204}
        crashing.kill()
        crashing.start()
        for name in names:
            people.until(name, "gone")
        eventually(lambda: not objects(crashing), "nothing of them is left in the engine")
        quota = http.get(f"/v1/quotas/{crashing.project}", params={"usages": "true"}).json()
        assert (quota["containers"]["in_use"], quota["cpu"]["in_use"]) == (0, 0)


def test_capsules_run_on_while_the_service_is_away(crashing: Service) -> None:
    people = Capsules(crashing)
    with people.http:
        uuid = people.make("steady", WAITS)["uuid"]
        people.until("steady", "Running")
        before = {one["Id"] for one in objects(crashing)}
        crashing.restart()
        people.until("steady", "Running")
        assert {one["Id"] for one in objects(crashing)} == before
        assert people.show("steady")["containers"][0]["restarts"] == 0
        assert people.show("steady")["uuid"] == uuid
