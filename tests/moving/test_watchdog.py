# SPDX-License-Identifier: Apache-2.0
"""The watchdog with real processes: of its own, and of containers of a real engine whose agent is dead, frozen or restarted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import docker_engine
from support.roles import Cluster, Role, cluster, create, running, shown, watchdog_pid
from support.service import ZUND, eventually
from zun.agent import watchdog
from zun.agent.alone import hold_alone
from zun.model import moving
from zun.model.errors import Unavailable

DELAY = 8
CONTROL = f"[controller]\nheal_delay_seconds = {DELAY}\nlease_ttl_seconds = 3\n"
NODE = "[compute]\nheartbeat_seconds = 1\nrestart_grace_seconds = 20\n"
PATIENCE = 60
UUID = "0f4c5a54-86b6-4f0d-9ee5-5d1e1c1f8a11"
IMAGE = "zun.local/busybox:latest"


def test_agent_leader_and_watchdog_mean_the_same_margin() -> None:
    for delay in (5.0, 29.0, 30.0, 60.0, 3600.0):
        assert watchdog.margin_seconds(delay) == moving.margin_seconds(delay)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that stands for a container's."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def written(state_dir: Path, *, boot: str, renewed: float, pid: int, started: int, delay: float = 6.0) -> str:
    """The files of an agent that guards one container; the watchdog's directory."""
    directory = state_dir / watchdog.DIRECTORY
    for part in (watchdog.GUARDED, watchdog.KILLED):
        (directory / part).mkdir(parents=True)
    (directory / watchdog.RENEWED).write_bytes(watchdog.renewed_line(boot, renewed))
    (directory / watchdog.GUARDED / "c1").write_text(watchdog.guarded_line(boot, "f" * 64, pid, started, delay))
    return str(directory)


def test_it_kills_in_time_and_leaves_a_note(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    boot = watchdog.boot_id()
    directory = written(tmp_path, boot=boot, renewed=1000.0, pid=sleeper.pid, started=watchdog.start_of(sleeper.pid))
    watchdog.look(directory, boot, 1003.9, set())
    assert sleeper.poll() is None
    watchdog.look(directory, boot, 1004.0, set())
    assert sleeper.wait(10) == -signal.SIGKILL
    assert (tmp_path / watchdog.DIRECTORY / watchdog.KILLED / "c1").read_text().strip() == "f" * 64


@pytest.mark.parametrize("wrong", ["another start of the machine", "another process of that number"])
def test_it_kills_nobody_else(tmp_path: Path, sleeper: "subprocess.Popen[bytes]", wrong: str) -> None:
    boot, started = watchdog.boot_id(), watchdog.start_of(sleeper.pid)
    told = "another" if wrong.endswith("machine") else boot
    directory = written(
        tmp_path, boot=told, renewed=0.0, pid=sleeper.pid, started=started + (0 if wrong.endswith("machine") else 1)
    )
    watchdog.look(directory, boot, 10_000.0, set())
    assert sleeper.poll() is None
    assert list((tmp_path / watchdog.DIRECTORY / watchdog.KILLED).iterdir()) == []


@pytest.mark.parametrize(
    ("handle", "groups", "found"),
    [
        ("f" * 64, f"2:cpu:/docker/{'f' * 64}\n", True),
        ("f" * 64, f"0::/system.slice/docker-{'f' * 64}.scope\n", True),
        ("f" * 64, f"0::/kubepods/cri-containerd:{'f' * 64}\n", True),
        ("f" * 64, f"0::/docker/{'f' * 63}\n", False),
        ("f" * 64, f"0::/docker/{'f' * 65}\n", False),
        ("f" * 64, "0::/\n", False),
        (f"{UUID}.1", f"4:memory:/zun/{UUID}.1/{'f' * 64}\n", True),
        (f"{UUID}.1", f"4:memory:/zun/{UUID}.12/{'f' * 64}\n", False),
        (f"{UUID}.1", f"4:memory:/zun/a{UUID}.1/{'f' * 64}\n", False),
    ],
)
def test_processes_are_found_by_the_name_of_the_object(handle: str, groups: str, found: bool) -> None:
    one = watchdog.Guarded("c1", handle, 0, 0, 60.0)
    assert watchdog.processes_of(one, {4_000_000: groups}) == ([4_000_000] if found else [])


def test_a_damaged_file_harms_nobody(tmp_path: Path) -> None:
    boot = watchdog.boot_id()
    directory = written(tmp_path, boot=boot, renewed=1.0, pid=0, started=0)
    (tmp_path / watchdog.DIRECTORY / watchdog.GUARDED / "c2").write_bytes(b"\xff\xfe nonsense")
    (tmp_path / watchdog.DIRECTORY / watchdog.GUARDED / "c3").write_text(f"{boot} x y z w")
    assert [one.uuid for one in watchdog.read_guarded(directory, boot)] == ["c1"]
    (tmp_path / watchdog.DIRECTORY / watchdog.RENEWED).write_text("torn")
    assert watchdog.read_renewed(directory, boot) is None


def test_there_is_one_a_state_directory_and_it_ends_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", watchdog.__file__, str(tmp_path)]
    with subprocess.Popen(command) as first:
        eventually(lambda: watchdog_pid(tmp_path) == first.pid, "it watches")
        assert subprocess.run(command, timeout=30, check=True).returncode == 0
        assert first.poll() is None
        for path in sorted((tmp_path / watchdog.DIRECTORY).iterdir()):
            path.rmdir() if path.is_dir() else path.unlink()
        assert first.wait(20) == 0


def test_it_has_nothing_to_do_when_no_agent_works_and_nothing_of_what_it_knows_runs(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    boot = watchdog.boot_id()
    written(tmp_path, boot=boot, renewed=1000.0, pid=sleeper.pid, started=watchdog.start_of(sleeper.pid))
    assert not watchdog.is_idle(str(tmp_path), boot, 1001.0)  # it may have to stop that one soon
    assert not watchdog.is_idle(str(tmp_path), boot, 2000.0)
    sleeper.kill()
    sleeper.wait(10)
    assert watchdog.is_idle(str(tmp_path), boot, 2000.0)
    lock = hold_alone(tmp_path)
    assert not watchdog.is_idle(str(tmp_path), boot, 2000.0)
    os.close(lock)
    assert watchdog.is_idle(str(tmp_path), boot, 2000.0)


def test_two_agents_cannot_work_with_one_state_directory(tmp_path: Path) -> None:
    lock = hold_alone(tmp_path)
    with pytest.raises(Unavailable, match="Another agent works with"):
        hold_alone(tmp_path)
    os.close(lock)
    os.close(hold_alone(tmp_path))


def test_an_operators_watchdog_takes_over_and_stays(tmp_path: Path) -> None:
    by_path = [sys.executable, "-I", "-S", watchdog.__file__, str(tmp_path)]
    with subprocess.Popen(by_path) as first:
        eventually(lambda: watchdog_pid(tmp_path) == first.pid, "it watches")
        with subprocess.Popen([ZUND, "watchdog", "--state-dir", str(tmp_path)]) as second:
            first.terminate()
            first.wait(10)
            eventually(lambda: watchdog_pid(tmp_path) == second.pid, "the other one watches")
            second.terminate()
            second.wait(10)


def test_a_state_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    done = subprocess.run(
        [ZUND, "watchdog", "--state-dir", str(missing)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert f"there is no state directory {missing}" in done.stderr


class House:
    """An API, a leader and two nodes that share this machine's engine, each with its own containers."""

    def __init__(self, made: Cluster, directory: Path) -> None:
        self.api = made.api("api")
        self.controller = made.controller("controller", CONTROL)
        self.directory = directory
        self.nodes: dict[str, Role] = {name: made.compute(name, NODE, runtime="docker") for name in ("n1", "n2")}
        for process in (self.api, self.controller, *self.nodes.values()):
            process.start()

    def healing(self, client: httpx.Client) -> tuple[str, str]:
        """A container that heals, running; and its node."""
        uuid = create(client, auto_heal=True, image=IMAGE, memory=32, cpu=0.1)
        return uuid, str(running(client, uuid)["host"])

    def owner(self, node: str) -> str:
        """What the node's objects are labelled with."""
        return str(json.loads((self.directory / node / "node.json").read_text())["owner"])

    def objects(self, uuid: str, node: str) -> list[dict[str, Any]]:
        """The engine's objects of a container, as that node made them."""
        labels = [f"io.zun.uuid={uuid}", f"io.zun.owner={self.owner(node)}"]
        _, said = docker_engine.call("GET", "/containers/json", all="1", filters=json.dumps({"label": labels}))
        inspected = [docker_engine.call("GET", f"/containers/{one['Id']}/json") for one in json.loads(said)]
        return [json.loads(told) for status, told in inspected if status == httpx.codes.OK]  # the others just went

    def runs(self, uuid: str, node: str) -> bool:
        """Whether it runs there, as the engine knows it."""
        return any(one["State"]["Running"] for one in self.objects(uuid, node))

    def mend(self) -> None:
        """Both nodes work."""
        for node in self.nodes.values():
            if not node.runs:
                node.start()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("watched")
    with cluster(directory) as made:
        yield House(made, directory)


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    """What the tests share, mended after each."""
    yield shared
    shared.mend()


def never_twice(house: House, uuid: str) -> bool:
    assert sum(house.runs(uuid, node) for node in house.nodes) <= 1
    return True


@pytest.mark.etcd
@pytest.mark.docker
@pytest.mark.parametrize("frozen", [False, True])
def test_the_watchdog_stops_what_a_dead_or_frozen_agent_left_running(house: House, frozen: bool) -> None:
    with house.api.client() as client:
        uuid, home = house.healing(client)
        other = next(name for name in house.nodes if name != home)
        if frozen:
            house.nodes[home].freeze()
        else:
            house.nodes[home].kill()
        eventually(lambda: never_twice(house, uuid) and not house.runs(uuid, home), "it is stopped", PATIENCE)
        assert shown(client, uuid)["host"] == home
        eventually(lambda: never_twice(house, uuid) and house.runs(uuid, other), "it moves", PATIENCE)
        if frozen:
            house.nodes[home].thaw()
        else:
            house.nodes[home].start()
        eventually(lambda: never_twice(house, uuid) and not house.objects(uuid, home), "the old one goes", PATIENCE)
        running(client, uuid)


@pytest.mark.etcd
@pytest.mark.docker
def test_a_planned_restart_leaves_containers_running_and_moves_nothing(house: House) -> None:
    with house.api.client() as client:
        uuid, home = house.healing(client)
        (before,) = house.objects(uuid, home)
        for _ in range(2):
            house.nodes[home].stop()
            assert shown(client, uuid)["status"] == "Running"
            answer = client.get(f"/v1/containers/{uuid}/logs")
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert f"Node {home} restarts; try again in a moment." in answer.text
            house.nodes[home].start()
        (after,) = house.objects(uuid, home)
        assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
        assert shown(client, uuid)["host"] == home
        states = {node["name"]: node["state"] for node in client.get("/v1/nodes").json()["nodes"]}
        assert states == {"n1": "up", "n2": "up"}


@pytest.mark.etcd
@pytest.mark.docker
def test_a_killed_agent_that_returns_in_time_finds_its_containers_running(house: House) -> None:
    with house.api.client() as client:
        uuid, home = house.healing(client)
        (before,) = house.objects(uuid, home)
        house.nodes[home].kill()
        house.nodes[home].start()
        eventually(lambda: Path(f"/proc/{watchdog_pid(house.directory / home)}").exists(), "the watchdog works", 5)
        running(client, uuid)
        (after,) = house.objects(uuid, home)
        assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
