# SPDX-License-Identifier: Apache-2.0
"""The whole service with networks of its own: as an administrator and a user meet them, also across a crash."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import docker_engine
from support.network_machine import Namespace
from support.service import eventually

pytestmark = pytest.mark.network

ZUND = str(Path(sys.executable).with_name("zund"))
ZUNCTL = str(Path(sys.executable).with_name("zunctl"))
IMAGE = "zun.local/busybox:latest"


class House:
    """`zund all` on the machine's Docker, in a namespace that stands for the machine's network."""

    def __init__(self, directory: Path) -> None:
        self.namespace = Namespace("own")
        self.state = directory / "state"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "zun.conf").write_text("[network]\ndriver = cni\n[cni]\nsync_seconds = 1\n")

    def start(self) -> None:
        options = ("--listen", "127.0.0.1:0", "--config", str(self._directory / "zun.conf"))
        command = self.namespace.command(ZUND, "all", "--state-dir", str(self.state), *options)
        log = self._directory / "log"
        before = log.read_text().count("zund is ready") if log.exists() else 0
        with log.open("a") as to:
            self._process = process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=to, stderr=to)
        eventually(lambda: log.read_text().count("zund is ready") > before or process.poll() is not None, "it starts")
        assert process.poll() is None, log.read_text()

    def end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=60)

    def zunctl(self, *arguments: str) -> str:
        environment = os.environ | {"ZUN_STATE_DIR": str(self.state), "NO_COLOR": "1"}
        done = subprocess.run(
            self.namespace.command(ZUNCTL, *arguments),
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr + (self._directory / "log").read_text()[-3000:]
        return done.stdout

    def show(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.zunctl("show", name, "-o", "json")))

    def addresses(self, name: str) -> set[str]:
        return {one["addr"] for held in self.show(name)["addresses"].values() for one in held}

    def left(self) -> list[str]:
        """Links of ours, and containers of ours in the engine."""
        owner = json.loads((self.state / "node.json").read_text())["owner"]
        filters = json.dumps({"label": [f"io.zun.owner={owner}"]})
        _, said = docker_engine.call("GET", "/containers/json", all="1", filters=filters)
        links = [link["ifname"] for link in self.namespace.ip("link") if link["ifname"].startswith("zunv")]
        return links + [one["Names"][0] for one in json.loads(said)]

    def close(self) -> None:
        self.end(signal.SIGTERM)
        docker_engine.remove_owned(json.loads((self.state / "node.json").read_text())["owner"])
        self.namespace.close()


@pytest.fixture
def house(tmp_path: Path, needs_root: None) -> Iterator[House]:
    if not docker_engine.answers():
        pytest.skip("needs a Docker engine")
    made = House(tmp_path)
    made.start()
    yield made
    made.close()


def test_from_a_network_to_containers_that_reach_each_other_and_back(house: House) -> None:
    house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24", "--subnet", "fd00:71::/64")
    house.zunctl("network", "create", "small", "--subnet", "10.72.0.0/24", "--range", "10.72.0.50-10.72.0.60")
    house.zunctl("network", "create", "third", "--subnet", "10.73.0.0/24")
    assert "10.71.0.0/24" in house.zunctl("network", "list")
    nets = ("--network", "network=lab,v4-fixed-ip=10.71.0.9", "--network", "small")
    house.zunctl("run", "-d", "--name", "web", *nets, IMAGE, "sleep", "1000")
    assert house.addresses("web") == {"10.71.0.9", "fd00:71::2", "10.72.0.50"}
    said = house.zunctl("run", "--network", "lab", IMAGE, "ping", "-c", "1", "10.71.0.9")
    assert "1 packets received" in said

    # kill -9: the container runs on with its network; a restart and a rebuild keep the addresses.
    house.end(signal.SIGKILL)
    house.start()
    eventually(lambda: house.show("web")["status"] == "Running", "it is known again")
    for verb in ("restart", "rebuild"):
        house.zunctl(verb, "web")
        eventually(lambda: house.show("web")["status"] == "Running", f"it runs after {verb}")
        assert "10.71.0.9" in house.zunctl("exec", "web", "ip", "addr")
        assert house.addresses("web") == {"10.71.0.9", "fd00:71::2", "10.72.0.50"}

    house.zunctl("network", "attach", "web", "third", "--ip", "10.73.0.9", "--wait")
    house.zunctl("network", "detach", "web", "lab", "--wait")
    said = house.zunctl("exec", "web", "ip", "addr")
    assert "10.73.0.9/24" in said
    assert "10.71.0.9" not in said
    eventually(lambda: house.addresses("web") == {"10.72.0.50", "10.73.0.9"}, "it is told")
    house.zunctl("run", "-d", "--name", "heir", "--network", "network=lab,v4-fixed-ip=10.71.0.9", IMAGE, "sleep", "9")
    refused = subprocess.run(
        house.namespace.command(ZUNCTL, "network", "delete", "lab"),
        env=os.environ | {"ZUN_STATE_DIR": str(house.state)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "delete what is on it first" in refused.stderr

    for name in json.loads(house.zunctl("ps", "-a", "-o", "json")):
        house.zunctl("rm", "-f", name["name"])
    eventually(lambda: house.left() == [], "nothing is left")
    eventually(lambda: json.loads(house.zunctl("ps", "-a", "-o", "json")) == [], "they are gone")
    house.zunctl("network", "delete", "lab", "small", "third")
    assert json.loads(house.zunctl("network", "list", "-o", "json")) == []


def test_a_crash_in_the_middle_of_several_starts_loses_and_doubles_nothing(house: House) -> None:
    house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24")
    names = [f"c{number}" for number in range(5)]
    environment = os.environ | {"ZUN_STATE_DIR": str(house.state)}
    quiet = subprocess.DEVNULL
    asking = [
        subprocess.Popen(
            house.namespace.command(ZUNCTL, "run", "-d", "--name", name, IMAGE, "sleep", "1000"),
            env=environment,
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
        )
        for name in names
    ]
    eventually(lambda: len(json.loads(house.zunctl("ps", "-a", "-o", "json"))) == len(names), "all are accepted")
    house.end(signal.SIGKILL)
    for process in asking:
        process.kill()
        process.wait(timeout=60)
    house.start()
    for name in names:
        eventually(lambda name=name: house.show(name)["status"] == "Running", f"{name} runs")  # type: ignore[misc]
    given_out = [house.addresses(name) for name in names]
    assert all(len(one) == 1 for one in given_out)
    assert len(set.union(*given_out)) == len(names)
    for name, addresses in zip(names, given_out, strict=True):
        assert f"{addresses.pop()}/24" in house.zunctl("exec", name, "ip", "addr")
    for name in names:
        house.zunctl("rm", "-f", name)
    eventually(lambda: house.left() == [], "nothing is left")
    house.zunctl("network", "delete", "lab")
