# SPDX-License-Identifier: Apache-2.0
"""What people type at `run` becomes the request that the API knows."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.zunctl import run_here
from zun.model.container import ContainerSpec
from zun.model.creation import parse_create
from zun.model.fields import by_wire
from zun.model.microversions import MAXIMUM


def request_of(*arguments: str) -> dict[str, Any]:
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(202, json={"uuid": "u", "name": "n"})

    assert run_here(answer, "run", "-d", "--no-wait", *arguments) == 0
    return asked[0]


@pytest.mark.parametrize(
    ("arguments", "members"),
    [
        (["-e", "A=1", "--env", "B=x=y"], {"environment": {"A": "1", "B": "x=y"}}),
        (["-l", "tier=web"], {"labels": {"tier": "web"}}),
        (["-m", "2g", "--cpus", ".5"], {"memory": "2048", "cpu": ".5"}),
        (["--name", "web", "-w", "/srv", "--hostname", "h"], {"name": "web", "workdir": "/srv", "hostname": "h"}),
        (["--restart", "on-failure:3"], {"restart_policy": {"Name": "on-failure", "MaximumRetryCount": "3"}}),
        (["-v", "data:/data"], {"mounts": [{"source": "data", "destination": "/data"}]}),
        (["--network", "net", "--ip", "10.0.0.9"], {"nets": [{"network": "net", "v4-fixed-ip": "10.0.0.9"}]}),
        (["--expose", "80", "--expose-port", "53/udp"], {"exposed_ports": {"80": {}, "53/udp": {}}}),
        (
            ["-p", "8080:80", "--publish", "53/udp"],
            {"published_ports": [{"port": 80, "host_port": 8080}, {"port": 53, "protocol": "udp"}]},
        ),
        (
            ["--health-cmd", "curl -f localhost", "--health-interval", "1m", "--health-retries", "3"],
            {"healthcheck": {"cmd": "curl -f localhost", "interval": 60, "retries": 3}},
        ),
        (["--pull", "missing"], {"image_pull_policy": "ifnotpresent"}),
        (
            ["--zone", "z", "--host", "h1", "--runtime", "runc"],
            {"availability_zone": "z", "host": "h1", "runtime": "runc"},
        ),
        (
            ["--entrypoint", "sh -c", "--rm", "--auto-heal"],
            {"entrypoint": ["sh", "-c"], "auto_remove": True, "auto_heal": True},
        ),
        (["--cpu-policy", "dedicated", "--hint", "disk=ssd"], {"cpu_policy": "dedicated", "hints": {"disk": "ssd"}}),
    ],
)
def test_dockers_spellings_become_members_that_the_service_accepts(
    arguments: list[str], members: dict[str, Any]
) -> None:
    body = request_of(*arguments, "alpine")
    assert body == {"image": "alpine"} | members
    parse_create(body, MAXIMUM, {})


def test_what_follows_the_image_belongs_to_the_command() -> None:
    assert request_of("alpine", "ls", "-l", "--name", "x")["command"] == ["ls", "-l", "--name", "x"]


def test_a_local_file_travels_in_the_request(tmp_path: Path) -> None:
    (tmp_path / "motd").write_bytes(b"hello\xff")
    body = request_of("--file", f"{tmp_path}/motd:/etc/motd", "alpine")
    assert base64.b64decode(body["mounts"][0]["source"]) == b"hello\xff"
    assert parse_create(body, MAXIMUM, {}).files == {0: b"hello\xff"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-v", "/host/dir:/data"], "--file"),
        (["-e", "A"], "KEY=VALUE"),
        (["-p", "127.0.0.1:80:80"], "8080:80"),
        (["--ip", "10.0.0.9"], "--network"),
        (["--health-interval", "3s"], "--health-cmd"),
        (["--file", "/does/not/exist:/x"], "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_explained(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(lambda _: httpx.Response(500), "run", *arguments, "alpine") == 2
    assert said in capsys.readouterr().err


def test_every_field_that_a_person_may_set_has_an_option() -> None:
    without = {name for name, entry in by_wire(ContainerSpec).items() if entry.field.option is None}
    assert without == {"image", "command", "stdin_once"}
