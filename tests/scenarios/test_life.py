# SPDX-License-Identifier: Apache-2.0
"""What becomes of containers: restarts, healing, health, changes, commit and rebuild, a service that is restarted."""

import base64
import json
from typing import Any

import pytest

from scenarios.conftest import Network
from support import docker_engine
from support.registry import PASSWORD, USERNAME, Registry
from support.service import eventually
from support.stage import FOREVER, IMAGE, Stage


def object_of(stage: Stage, name: str) -> dict[str, Any]:
    """What the engine has for a container."""
    filters = json.dumps({"label": [f"io.zun.uuid={stage.show(name)['uuid']}"]})
    found = json.loads(docker_engine.call("GET", "/containers/json", all="1", filters=filters)[1])
    assert len(found) == 1, found
    return dict(json.loads(docker_engine.call("GET", f"/containers/{found[0]['Id']}/json")[1]))


def inside(stage: Stage, name: str, *command: str) -> str:
    """What a command in the container prints."""
    answer = stage.http.post(f"/v1/containers/{name}/execute", json={"command": list(command)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["exit_code"] == 0, answer.json()
    return str(answer.json()["output"]).strip()


def test_a_failing_container_is_restarted_as_often_as_it_may(stage: Stage) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    name = stage.make("Stopped", command=["sh", "-c", "echo once; exit 4"], restart_policy=policy)
    eventually(lambda: stage.show(name)["restarts"] == 2, "it is started twice more")
    view = stage.until(name, "Stopped")
    assert (view["exit_code"], stage.logs(name)) == (4, "once\n" * 3)
    assert object_of(stage, name)["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")


def test_a_container_that_somebody_removed_is_made_again_only_if_it_asked_for_it(stage: Stage) -> None:
    healing, plain = stage.make(auto_heal=True), stage.make()
    handles = [object_of(stage, name)["Id"] for name in (healing, plain)]
    for handle in handles:
        docker_engine.call("DELETE", f"/containers/{handle}", force="1")
    stage.until(plain, "Error")
    eventually(lambda: stage.show(healing)["status"] == "Running" and object_of(stage, healing), "it is healed")
    assert object_of(stage, healing)["Id"] != handles[0]
    assert "vanished" in stage.show(plain)["status_reason"]


def test_health_is_told(stage: Stage) -> None:
    check = {"cmd": "test -e /tmp/ok", "interval": 1, "retries": 1, "timeout": 2}
    name = stage.make(healthcheck=check)
    eventually(lambda: stage.show(name)["health"] == "unhealthy", "it is unhealthy")
    inside(stage, name, "touch", "/tmp/ok")
    eventually(lambda: stage.show(name)["health"] == "healthy", "it is healthy")


def test_limits_are_seen_inside_and_changed_while_it_runs(stage: Stage) -> None:
    name = stage.make(memory=64, cpu=0.5)
    limit = object_of(stage, name)["HostConfig"]
    assert (limit["Memory"], limit["NanoCpus"]) == (64 << 20, 500_000_000)
    files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    read = ["sh", "-c", f"for f in {files}; do cat $f 2>/dev/null && exit; done"]
    assert inside(stage, name, *read) == str(64 << 20)
    answer = stage.http.patch(f"/v1/containers/{name}", json={"memory": 96, "cpu": 0.75})
    assert answer.status_code == 200, answer.text
    assert inside(stage, name, *read) == str(96 << 20)
    assert object_of(stage, name)["HostConfig"]["NanoCpus"] == 750_000_000


def test_a_dedicated_cpu_belongs_to_one_container(stage: Stage) -> None:
    name = stage.make(cpu=1, cpu_policy="dedicated")
    assert object_of(stage, name)["HostConfig"]["CpusetCpus"] == "1"
    body = {"image": IMAGE, "command": FOREVER, "cpu": 1, "cpu_policy": "dedicated"}
    second = stage.http.post("/v1/containers", json=body).json()["uuid"]
    refused = stage.until(second, "Error")
    assert "dedicated" in refused["status_reason"] or "not enough hosts" in refused["status_reason"]
    stage.http.delete(f"/v1/containers/{name}", params={"stop": "true"})
    stage.until(name, "gone")


def test_files_volumes_and_fixed_addresses_are_there(stage: Stage, network: Network) -> None:
    content, volume, address = bytes(range(256)), stage.name(), f"{network.prefix}.77"
    mounts = [
        {"type": "bind", "source": base64.b64encode(content).decode(), "destination": "/etc/blob"},
        {"type": "volume", "source": volume, "destination": "/data"},
    ]
    nets = [{"network": network.name, "v4-fixed-ip": address}]
    first = stage.make(mounts=mounts, nets=nets, hostname="me")
    assert inside(stage, first, "sh", "-c", "base64 /etc/blob | tr -d '\\n'") == base64.b64encode(content).decode()
    assert address in inside(stage, first, "ip", "addr")
    assert inside(stage, first, "hostname") == "me"
    assert [entry["addr"] for nets in stage.show(first)["addresses"].values() for entry in nets] == [address]
    inside(stage, first, "sh", "-c", "echo kept > /data/file")
    taken = stage.http.post("/v1/containers", params={"run": "true"}, json={"image": IMAGE, "nets": nets})
    assert taken.status_code in (202, 409), taken.text
    if taken.status_code == 202:
        assert "address" in stage.until(taken.json()["uuid"], "Error")["status_reason"].lower()
    second = stage.make(mounts=mounts[1:])
    assert inside(stage, second, "cat", "/data/file") == "kept"
    for name in (first, second):
        stage.http.delete(f"/v1/containers/{name}", params={"force": "true"})
        stage.until(name, "gone")
    docker_engine.call("DELETE", f"/volumes/{volume}")


def test_an_image_behind_a_password_is_run_and_the_password_is_nowhere(stage: Stage, served: Registry) -> None:
    image = f"{served.private}/team/app:1"
    refused = stage.make("Error", image=image)
    assert "team/app" in stage.show(refused)["status_reason"]
    body = {"name": stage.name(), "domain": served.private, "username": USERNAME, "password": PASSWORD}
    made = stage.http.post("/v1/registries", json={"registry": body})
    assert made.status_code == 201, made.text
    name = stage.make(image=image, registry=body["name"])
    assert stage.show(name)["registry_id"] == made.json()["registry"]["uuid"]
    for path in stage.service.state_dir.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


def test_a_change_is_committed_run_and_thrown_away_by_rebuild(stage: Stage) -> None:
    name, repository = stage.make(), f"zun.local/{stage.name()}"
    inside(stage, name, "sh", "-c", "echo changed > /mark")
    image = stage.http.post(f"/v1/containers/{name}/commit", params={"repository": repository, "tag": "2"})
    uuid = image.json()["uuid"]
    eventually(lambda: stage.http.get(f"/v1/images/{uuid}").json()["image_id"], "the image is made", 60)
    copy = stage.make(image=f"{repository}:2")
    assert inside(stage, copy, "cat", "/mark") == "changed"
    assert stage.http.post(f"/v1/containers/{copy}/rebuild", params={"image": IMAGE}).status_code == 202
    stage.until(copy, "Running")
    assert inside(stage, copy, "sh", "-c", "ls /mark 2>/dev/null; true") == ""
    stage.http.delete(f"/v1/images/{uuid}")


def test_containers_run_on_through_a_restart_of_the_service(stage: Stage) -> None:
    running, ended = stage.make(), stage.make(command=["sh", "-c", "sleep 2; exit 5"])
    before, handle = object_of(stage, running)["State"]["StartedAt"], object_of(stage, ended)["Id"]
    stage.service.stop()
    eventually(lambda: b'"Running":false' in docker_engine.call("GET", f"/containers/{handle}/json")[1], "it ends")
    stage.service.start()
    assert stage.until(ended, "Stopped")["exit_code"] == 5
    assert stage.until(running, "Running")
    assert object_of(stage, running)["State"]["StartedAt"] == before
    assert inside(stage, running, "echo", "alive") == "alive"


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_stopped_container_stays_stopped_whatever_its_policy(stage: Stage, signal: str) -> None:
    name = stage.make(restart_policy={"Name": "always"})
    stage.http.post(f"/v1/containers/{name}/kill", params={"signal": signal})
    view = stage.until(name, "Stopped")
    assert view["restarts"] == 0
    assert view["exit_code"] == {"TERM": 0, "KILL": 137}[signal]
