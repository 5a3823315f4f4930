# SPDX-License-Identifier: Apache-2.0
"""Capsules of a project that must be in a sandbox, under gVisor on a Docker engine of their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.capsules import WAITS, Capsules, template
from support.docker_machine import DockerMachine, docker_machine
from support.service import Service, eventually, service

OF_GVISOR = "4.4.0"
"""The kernel that gVisor says it is."""

SERVE = ["sh", "-c", "mkdir /www; echo from the neighbour > /www/index.html; exec httpd -f -p 8080 -h /www"]
ASK = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 8080"
SANDBOXED = "[controller]\nsandboxed_runtimes = runsc-shared\nsandboxed_projects = *\n"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerMachine]:
    program = shutil.which("runsc")
    if program is None:
        pytest.skip("gVisor is not installed: run scripts/ensure-containerd --handlers")
    options = ["--platform=ptrace", "--ignore-cgroups", "--network=host"]
    with docker_machine({"runsc-shared": {"path": program, "runtimeArgs": options}}) as running:
        yield running


@pytest.fixture(scope="module")
def house(engine: DockerMachine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = f"{SANDBOXED}[docker]\nurl = {engine.url}\nsandboxed_capsules = true\n"
    with service(tmp_path_factory.mktemp("house") / "state", runtime="docker", settings=settings) as running:
        yield running


def test_all_containers_are_in_the_sandbox_and_share_an_address(house: Service, engine: DockerMachine) -> None:
    mine = Capsules(house)
    with mine.http:
        mine.make("shut", SERVE, WAITS, init=["true"])
        found = mine.until("shut", "Running")
        one, other = (container["uuid"] for container in found["containers"])
        for uuid in (one, other):
            assert mine.inside(uuid, "uname", "-r") == OF_GVISOR
            assert mine.inside(uuid, "hostname") == "shut"
        (address,) = [one["addr"] for there in found["addresses"].values() for one in there]
        assert address in mine.inside(one, "ip", "addr")
        assert address in mine.inside(other, "ip", "addr")
        eventually(lambda: "from the neighbour" in mine.inside(other, "sh", "-c", ASK), "the neighbour answers")
        runtimes = {
            engine.get(f"/containers/{known['Id']}/json")["HostConfig"]["Runtime"]
            for known in engine.get("/containers/json?all=1")
        }
        assert runtimes == {"runsc-shared"}
        mine.delete("shut")
    assert engine.get("/containers/json?all=1") == []


def test_containers_under_it_are_started_again_and_told_to_end(house: Service) -> None:
    mine = Capsules(house)
    with mine.http:
        mine.make("flapping", ["sh", "-c", "echo once; sleep 1; exit 1"], WAITS, policy="OnFailure")
        eventually(lambda: mine.show("flapping")["containers"][0]["restarts"] >= 1, "it is started again", seconds=60)
        mine.delete("flapping")


def test_where_the_engine_gives_each_its_own_network_none_is_accepted(engine: DockerMachine, tmp_path: Path) -> None:
    settings = f"{SANDBOXED}[docker]\nurl = {engine.url}\n"
    with service(tmp_path / "state", runtime="docker", settings=settings) as running, running.client() as http:
        refused = http.post("/v1/capsules", json={"template": template("shut", WAITS)})
        assert refused.status_code == 400
        assert "capsules in a sandboxed runtime" in refused.json()["errors"][0]["detail"]
        assert http.get("/v1/capsules").json()["capsules"] == []
        assert engine.get("/containers/json?all=1") == []
