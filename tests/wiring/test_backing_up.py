# SPDX-License-Identifier: Apache-2.0
"""A backup that is restored, with every process as a process and a real engine: what was saved is there, what is newer runs on and is told."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.roles import Api, Cluster, Role, cluster, create, running, shown
from support.service import ZUND, eventually
from support.stage import IMAGE

pytestmark = [pytest.mark.etcd, pytest.mark.docker]

QUICK = "[compute]\nlook_seconds = 1\npublish_seconds = 1\nsync_seconds = 1\n"
WISH: dict[str, Any] = {"image": IMAGE, "cpu": 0.1, "memory": "64"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as made:
        yield made


def zund(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([ZUND, *words], capture_output=True, text=True, timeout=120, check=False)


def of(api: Api) -> tuple[str | Path, ...]:
    """The options with which a command finds the API server's store."""
    return "--state-dir", api.state_dir, "--config", api.state_dir / f"{api.name}.ini"


def strays(client: httpx.Client) -> list[str]:
    findings = client.get("/v1/doctor").json()["findings"]
    return [one["what"] for one in findings if "the restored store does not know" in one["what"]]


def engine_has(node: Role) -> dict[str, str]:
    """The ids of the node's objects in the engine that run, by container."""
    owner = json.loads((node.state_dir / "node.json").read_text())["owner"]
    form = '{{.Label "io.zun.uuid"}} {{.ID}}'
    command = ["docker", "ps", "--no-trunc", "--filter", f"label=io.zun.owner={owner}", "--format", form]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return dict(line.split() for line in said.splitlines())


def test_what_was_saved_is_there_again_and_what_is_newer_runs_on_until_somebody_decides(
    house: Cluster, tmp_path: Path
) -> None:
    api, controller, node = (
        house.api("api"),
        house.controller("controller"),
        house.compute("n1", QUICK, runtime="docker"),
    )
    for role in (api, controller, node):
        role.start()
    file = tmp_path / "backup"
    with api.client() as client:
        kept = create(client, name="kept", **WISH)
        running(client, kept)
        saved = zund("backup", *of(api), file)
        assert saved.returncode == 0, saved.stderr
        assert f"{file} holds " in saved.stdout
        newer = create(client, name="newer", **WISH)
        running(client, newer)
    before = engine_has(node)
    assert set(before) == {kept, newer}

    refused = zund("restore", *of(api), "--force", file)
    assert (refused.returncode, "Processes work on this store" in refused.stderr) == (1, True)
    api.stop()
    controller.stop()
    refused = zund("restore", *of(api), file)
    assert (refused.returncode, "give --force" in refused.stderr) == (1, True)
    restored = zund("restore", *of(api), "--force", file)
    assert restored.returncode == 0, restored.stderr
    assert "The store holds what it held on" in restored.stdout

    assert node.ends() != 0  # it worked while that happened
    assert "start the agent again" in node.said()
    assert engine_has(node) == before
    for role in (api, controller, node):
        role.start()
    with api.client() as client:
        assert [one["name"] for one in client.get("/v1/containers").json()["containers"]] == ["kept"]
        running(client, kept)
        eventually(lambda: strays(client), "the node tells what the store forgot")
        assert engine_has(node) == before
        after = create(client, name="after", **WISH)
        running(client, after)

        subprocess.run(["docker", "rm", "-f", before[newer]], capture_output=True, timeout=60, check=True)
        eventually(lambda: not strays(client), "the node notices that it was removed")
        assert set(engine_has(node)) == {kept, after}
        assert shown(client, kept)["restarts"] == 0
