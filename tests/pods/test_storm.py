# SPDX-License-Identifier: Apache-2.0
"""Storms of a size that every change can bear; `make pods-storm` runs larger ones, with other seeds."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from pods.moments import CALM_SECONDS, moments
from support import containerd_engine, docker_engine

ROOT = Path(__file__).resolve().parents[2]


def storm(engine: str, pods: int, seed: int) -> None:
    """Each process is killed once."""
    words = ["--engine", engine, "--pods", str(pods), "--seed", str(seed), "--kills", "1"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT / 'scripts'}"}
    done = subprocess.run(
        [sys.executable, "-m", "pods", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.containerd
@pytest.mark.timeout(300)
def test_capsules_that_come_and_go_on_containerd_leave_nothing_although_each_process_is_killed() -> None:
    if not containerd_engine.available():
        pytest.skip("needs containerd, CNI plugins and root: run scripts/ensure-containerd")
    storm("containerd", 16, 1)


@pytest.mark.docker
@pytest.mark.timeout(300)
def test_capsules_that_come_and_go_on_docker_leave_nothing_although_the_service_is_killed() -> None:
    if os.geteuid() != 0 or not docker_engine.answers():
        pytest.skip("needs root and a Docker engine: run scripts/ensure-docker and scripts/build-image")
    storm("docker", 16, 1)


def test_a_seed_says_when_each_process_dies() -> None:
    once, again = (list(islice(moments(7, "service", 0), 20)) for _ in range(2))
    assert once == again
    assert once != list(islice(moments(8, "service", 0), 20))
    assert once != list(islice(moments(7, "containerd", 0), 20))
    assert all(CALM_SECONDS[0] <= calm <= CALM_SECONDS[1] for calm in once)
