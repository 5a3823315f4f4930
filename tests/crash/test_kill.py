# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment is harmless: nothing acknowledged is lost, nothing is doubled, nothing is wedged."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.judging import judge_engine, judge_records
from crash.storm import Storm
from support import docker_engine
from support.service import Service, service

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

UNLIMITED = "[quota]\ncontainers = -1\ncpu = -1\nmemory = -1\n"
TELLING = "trap 'echo USR1' USR1; trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; kill $!; done"
BODY = {"image": "zun.local/busybox:latest", "command": ["sh", "-c", TELLING], "memory": 16, "cpu": 0.25}


@pytest.fixture
def docker_house(tmp_path: Path) -> Iterator[Service]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine: run scripts/ensure-docker")
    with service(tmp_path / "state", runtime="docker", settings=UNLIMITED) as house:
        yield house


@pytest.mark.docker
@pytest.mark.parametrize("seed", [1, 2])
def test_fifty_lives_on_a_real_engine_survive_a_service_that_is_killed(docker_house: Service, seed: int) -> None:
    storm = Storm(docker_house, seed, customers=6, body=BODY)
    accounts = storm.rage(50, calm=(0.2, 2.5), prefix="life")
    assert storm.kills >= 3
    found = judge_records(docker_house, accounts)
    judge_engine(docker_house, accounts, found)


@pytest.mark.parametrize("seed", [1])
def test_records_survive_many_more_kills_although_the_engine_dies_too(tmp_path: Path, seed: int) -> None:
    with service(tmp_path / "state", runtime="fake", settings=UNLIMITED) as house:
        storm = Storm(house, seed, customers=8, body=BODY)
        accounts = [a for turn in range(2) for a in storm.rage(50, calm=(0.02, 0.4), prefix=f"turn{turn}")]
        assert storm.kills >= 4
        judge_records(house, accounts)


def test_a_service_that_is_killed_while_it_starts_starts_the_next_time(tmp_path: Path) -> None:
    with service(tmp_path / "state", runtime="fake") as house, house.client() as http:
        made = http.post("/v1/containers", json=BODY).json()
        for moment in range(6):
            house.kill()
            house.begin()
            house.give_time(0.15 * moment)
        house.kill()
        house.start()
        assert http.get(f"/v1/containers/{made['uuid']}").status_code == 200
