# SPDX-License-Identifier: Apache-2.0
"""A process that starts before its store waits for it, says so, and can be ended at any moment of its start."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.roles import Cluster, Role, cluster, create, running
from zun.base.backoff import Backoff
from zun.base.clock import ManualClock
from zun.model.errors import Denied, Timeout, Unavailable
from zun.wiring.reaching import reached

WAITS = "cannot be used yet; waiting for it"


@pytest.fixture
def dark(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose etcd does not run yet."""
    with cluster(tmp_path, etcd_runs=False) as made:
        yield made


def a_role(house: Cluster, role: str) -> Role:
    return {"api": house.api, "controller": house.controller, "compute": house.compute}[role](role)


@pytest.mark.etcd
@pytest.mark.parametrize("role", ["api", "controller", "compute"])
def test_a_role_without_its_store_says_so_once_and_ends_when_it_is_told_to(dark: Cluster, role: str) -> None:
    made = a_role(dark, role)
    made.begin()
    made.until_it_says(WAITS)
    (line,) = made.said().splitlines()
    assert dark.endpoint in line
    assert made.stop() == 0


@pytest.mark.etcd
def test_roles_go_on_by_themselves_when_their_store_comes(dark: Cluster) -> None:
    api, controller, compute = dark.api("api"), dark.controller("controller"), dark.compute("n1")
    for role in (api, controller, compute):
        role.begin()
    for role in (api, controller, compute):
        role.until_it_says(WAITS)
    dark.etcd.start()
    for role in (api, controller, compute):
        role.until_it_says(f"zund {role.role} is ready")
        assert role.said().count(WAITS) == 1
        assert role.complaints() == []
    with api.client() as client:
        running(client, create(client, name="after-the-dark"))


@pytest.mark.etcd
@pytest.mark.docker
def test_a_node_whose_engine_is_away_waits_for_it_and_goes_on(dark: Cluster, tmp_path: Path) -> None:
    dark.etcd.start()
    dark.api("api").start()
    engine = tmp_path / "engine.sock"
    node = dark.compute("n1", f"[docker]\nurl = unix://{engine}\n", runtime="docker")
    node.begin()
    node.until_it_says("The engine (docker) cannot be used yet")
    assert str(engine) in node.said()
    engine.symlink_to("/var/run/docker.sock")
    node.until_it_says("zund compute is ready")
    assert node.stop() == 0


@pytest.mark.etcd
@pytest.mark.parametrize("role", ["api", "controller", "compute"])
def test_a_role_whose_store_went_away_ends_when_it_is_told_to(dark: Cluster, role: str) -> None:
    dark.etcd.start()
    dark.api("first").start()  # a node waits for a store in which somebody has begun
    made = a_role(dark, role)
    made.start()
    dark.etcd.kill()
    assert made.stop() == 0


@pytest.mark.etcd
def test_a_node_takes_no_empty_store_for_its_own(dark: Cluster) -> None:
    dark.etcd.start()
    node, controller = dark.compute("n1"), dark.controller("controller")
    node.begin()
    node.until_it_says("The store holds nothing yet")
    controller.start()
    node.until_it_says("zund compute is ready")
    assert node.complaints() == []


@pytest.mark.etcd
def test_a_service_manager_learns_when_a_role_waits_is_ready_and_stops(dark: Cluster, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        controller = dark.controller("controller")
        controller.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        controller.begin()
        assert manager.recv(4096) == f"STATUS=waiting for the store {dark.endpoint}".encode()
        dark.etcd.start()
        assert manager.recv(4096).splitlines()[0] == b"READY=1"
        os.kill(controller.pid, signal.SIGTERM)
        assert manager.recv(4096).splitlines()[0] == b"STOPPING=1"


class Scripted:
    """A store that is away as often as told, then fails for good or is there."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    async def reach(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "there"


class QuickClock(ManualClock):
    """Sleeps cost no time but the clock's."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


EVERY_10_SECONDS = Backoff(first_seconds=10, cap_seconds=10, jitter=0)


async def test_waiting_is_told_at_once_and_every_minute_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    told: list[str] = []
    away = Scripted(*[Unavailable("no one there"), Timeout("slow")] * 7)
    assert await reached("store here", away.reach, QuickClock(), retry=EVERY_10_SECONDS, waits=told.append) == "there"
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "WARNING", "INFO"]
    assert "no one there" in caplog.records[0].getMessage()
    assert "since 120 seconds" in caplog.records[2].getMessage()
    assert told == ["waiting for the store here"] * 3


async def test_who_is_refused_by_the_store_does_not_wait() -> None:
    with pytest.raises(Denied):
        await reached("store here", Scripted(Unavailable("away"), Denied("not you")).reach, QuickClock())
