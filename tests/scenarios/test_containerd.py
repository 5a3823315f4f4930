# SPDX-License-Identifier: Apache-2.0
"""The whole service on containerd: what people do with containers, and what is refused because the engine cannot do it."""

import base64
import io
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from support.containerd_engine import Containerd, containerd
from support.service import Service, eventually, service
from support.stage import Stage

pytestmark = pytest.mark.containerd


@pytest.fixture(scope="module")
def engine() -> Iterator[Containerd]:
    with containerd() as running:
        yield running


@pytest.fixture(scope="module")
def house(engine: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("house") / "state", runtime="cri", settings=engine.settings) as running:
        yield running


@pytest.fixture(scope="module")
def stage(house: Service, engine: Containerd) -> Iterator[Stage]:
    with Stage(house, engine.bridge) as made:
        yield made


def run_inside(stage: Stage, name: str, *command: str, **more: Any) -> str:
    answer = stage.http.post(f"/v1/containers/{name}/execute", json={"command": list(command)} | more)
    assert answer.status_code == 200, answer.text
    assert answer.json()["exit_code"] == 0, answer.json()
    return str(answer.json()["output"])


def test_a_container_has_its_whole_life(stage: Stage) -> None:
    name = stage.make()
    view = stage.show(name)
    assert list(view["addresses"]) == [stage.network]
    assert run_inside(
        stage, name, "sh", "-c", "echo $GREETING; pwd", environment={"GREETING": "hi"}, workdir="/etc"
    ) == ("hi\n/etc\n")
    eventually(lambda: sorted(stage.logs(name).split()) == ["to-stderr", "to-stdout"], "it is heard")
    told = stage.http.get(f"/v1/containers/{name}/stats").json()
    assert told["MEM LIMIT(MiB)"] == 32
    assert "trap" in stage.http.get(f"/v1/containers/{name}/top").text
    run_inside(stage, name, "sh", "-c", "echo kept > /srv/kept")
    answer = stage.http.post(f"/v1/containers/{name}/stop", params={"timeout": 10})
    assert answer.status_code == 202
    assert stage.until(name, "Stopped")["exit_code"] == 0
    stage.http.post(f"/v1/containers/{name}/start")
    stage.until(name, "Running")
    assert run_inside(stage, name, "cat", "/srv/kept") == "kept\n"
    answer = stage.http.patch(f"/v1/containers/{name}", json={"memory": 48})
    assert answer.status_code == 200, answer.text
    eventually(lambda: stage.show(name)["memory"] == "48", "it may use more")
    stage.http.post(f"/v1/containers/{name}/kill", params={"signal": "SIGKILL"})
    assert stage.until(name, "Stopped")["exit_code"] == 137
    stage.http.delete(f"/v1/containers/{name}")
    stage.until(name, "gone")


def test_files_go_in_and_come_out(stage: Stage) -> None:
    name, out = stage.make(), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("given")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"given"))
    body = {"data": base64.b64encode(out.getvalue()).decode()}
    answer = stage.http.post(f"/v1/containers/{name}/put_archive", params={"path": "/srv"}, json=body)
    assert answer.status_code == 200, answer.text
    answer = stage.http.get(f"/v1/containers/{name}/get_archive", params={"path": "/srv/given"})
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(answer.json()["data"]))) as archive:
        file = archive.extractfile("given")
        assert file is not None
        assert file.read() == b"given"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/pause", None),
        ("POST", "/unpause", None),
        ("POST", "/commit?repository=mine&tag=1", None),
        ("POST", "/network_attach?network=lab", None),
    ],
)
def test_what_the_engine_cannot_do_is_a_400_and_changes_nothing(
    stage: Stage, method: str, path: str, body: object
) -> None:
    name = stage.shared()
    before = stage.show(name)
    answer = stage.http.request(method, f"/v1/containers/{name}{path}", json=body)
    assert answer.status_code in {400, 409}, answer.text
    after = stage.show(name)
    assert (after["status"], after["task_state"], after["updated_at"]) == (
        before["status"], None, before["updated_at"],
    )  # fmt: skip
    assert not [one for one in stage.http.get(f"/v1/containers/{name}/container_actions").json()["containerActions"]
                if one["action"] in {"pause", "unpause", "commit", "network_attach"}]  # fmt: skip


@pytest.mark.parametrize(
    "wish",
    [
        {"disk": 1},
        {"runtime": "no-such-runtime"},
    ],
)
def test_a_wish_that_no_node_can_fulfil_is_refused(stage: Stage, wish: dict[str, object]) -> None:
    body = {"image": "zun.local/busybox:latest", "name": stage.name()} | wish
    answer = stage.http.post("/v1/containers", json=body)
    if answer.status_code == 202:
        assert stage.until(body["name"], "Error")["status_reason"]
    else:
        assert answer.status_code == 400, answer.text
        assert next(iter(wish)) in answer.text


def test_health_is_told_though_the_engine_runs_no_checks(stage: Stage) -> None:
    check = {"cmd": "cat /tmp/ok", "interval": 1, "retries": 2, "timeout": 5}
    name = stage.make(healthcheck=check)
    assert stage.show(name)["health"] == "starting"
    eventually(lambda: stage.show(name)["health"] == "unhealthy", "it is unhealthy")
    found = stage.show(name)
    assert (found["status"], found["restarts"]) == ("Running", 0)
    assert found["status_detail"].endswith(" (unhealthy)")
    assert "/tmp/ok" in found["status_reason"]
    run_inside(stage, name, "touch", "/tmp/ok")
    eventually(lambda: stage.show(name)["health"] == "healthy", "it is healthy")
    assert stage.show(name)["status_reason"] is None
    assert stage.http.post(f"/v1/containers/{name}/stop").status_code == 202
    assert stage.until(name, "Stopped")["health"] is None


def test_a_check_that_hangs_leaves_nothing_behind(stage: Stage) -> None:
    name = stage.make(healthcheck={"cmd": "exec sleep 4242", "interval": 1, "retries": 2, "timeout": 1})
    eventually(lambda: stage.show(name)["health"] == "unhealthy", "it is unhealthy")
    assert "within 1 seconds" in stage.show(name)["status_reason"]
    eventually(lambda: "4242" not in stage.http.get(f"/v1/containers/{name}/top").text, "what hung is gone")


def test_a_runtime_can_be_chosen(stage: Stage) -> None:
    hosts = stage.http.get("/v1/hosts").json()["hosts"]
    if "gvisor" not in str(hosts):
        pytest.skip("gvisor is not installed: run scripts/ensure-containerd --handlers")
    name = stage.make(runtime="gvisor")
    assert run_inside(stage, name, "uname", "-r").strip() == "4.4.0"


def test_a_service_that_is_killed_finds_its_containers_again(stage: Stage) -> None:
    name = stage.make()
    before = stage.show(name)["started_at"]
    stage.service.kill()
    stage.service.start()
    assert stage.until(name, "Running")["started_at"] == before
    body = {"command": ["echo", "still here"]}
    said = eventually(
        lambda: stage.http.post(f"/v1/containers/{name}/execute", json=body).json().get("output"), "its node is back"
    )
    assert said == "still here\n"
