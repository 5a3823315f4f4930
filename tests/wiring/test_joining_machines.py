# SPDX-License-Identifier: Apache-2.0
"""Machines join an installation as the operator guide says, with every process as a process, and are removed again."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from lab.ports import free_port
from support.roles import Api, Role, create, leave_nothing, running
from support.secure_etcd import SecureEtcd
from support.service import ZUND, eventually
from zun.pki.facts import certificate_facts

pytestmark = pytest.mark.etcd

ZUNCTL = ZUND.with_name("zunctl")


class Installation:
    """etcd, an API server, a controller and a gate with certificates; machines beside it."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.stack = stack
        self.etcd = SecureEtcd(directory)
        self.etcd.start()
        stack.callback(self.etcd.kill)
        self.control = self.etcd.state_dir
        self.gate_port = free_port()
        self.settings = (
            f"[store]\ndriver = etcd\nendpoints = {self.etcd.endpoint}\nca_file = {self.control}/etcd-ca.pem\n"
            f"cert_file = {self.control}/store.pem\nkey_file = {self.control}/store.key\n"
            f"[join]\nendpoints = 127.0.0.1:{self.gate_port}\n[controller]\nlease_ttl_seconds = 2\n"
        )
        self.api = Api("api", "api", self.control, self.settings, "--listen", "127.0.0.1:0")
        self.controller = Role("controller", "controller", self.control, self.settings)
        self.gate = self.another_gate("gate")
        for _ in range(2):  # may be repeated
            self.run("etcd", "init", "--state-dir", str(self.control), "--config", str(self.control / "api.ini"))
        for role in (self.api, self.controller, self.gate):
            stack.callback(role.close)
            role.start()

    def another_gate(self, name: str) -> Role:
        return Role("gate", name, self.control, self.settings, "--listen", f"127.0.0.1:{self.gate_port}")

    def run(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run([ZUND, *words], input=stdin, capture_output=True, text=True, timeout=60, check=False)

    def zunctl(self, *words: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "ZUN_"))}
        environment["ZUN_STATE_DIR"] = str(self.control)
        done = subprocess.run([ZUNCTL, *words], env=environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def token(self, *words: str) -> str:
        """The word that a machine is to be given."""
        return self.zunctl("node", "token", *words).split()[-1]

    def machine(self, name: str, *words: str) -> Role:
        """A machine with the fake engine and no settings of its own, not started yet."""
        self.stack.callback(leave_nothing, self.directory / name, "fake")
        made = Role("compute", name, self.directory / name, "", "--runtime", "fake", *words)
        self.stack.callback(made.close)
        return made

    def client(self) -> httpx.Client:
        return self.api.client()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with ExitStack() as stack:
        yield Installation(tmp_path_factory.mktemp("joining"), stack)


def state_of(client: httpx.Client, node: str) -> str | None:
    services = client.get("/v1/services").json()["services"]
    return next((one["state"] for one in services if one["host"] == node), None)


def test_a_machine_joins_runs_containers_and_starts_again_without_a_token(house: Installation) -> None:
    node = house.machine("n1", "--node-name", "n1", "--join", house.token())
    node.start()
    with house.client() as client:
        eventually(lambda: state_of(client, "n1") == "up", "the node is up")
        assert running(client, create(client, name="first"))["host"] == "n1"
        logs = client.get("/v1/containers/first/logs")  # straight from the node, with the certificates of both
        assert logs.status_code == 200, logs.text
        eventually(lambda: "gate: " in house.zunctl("doctor", "-a"), "the gate is known to run")
        examined = house.zunctl("doctor", "-a")
        for role in ("api", "controller", "gate"):  # their certificates were made for 30 days
            assert re.search(rf"certificates: \S+/control.pem of {role} \S+ ends in 29 days", examined), examined
        assert "nodes: 1 of 1 nodes report, are reached" in examined
        node.stop()
        again = house.machine("n1")
        again.start()
        eventually(lambda: state_of(client, "n1") == "up", "the node is up again")
        assert running(client, create(client, name="second"))["host"] == "n1"
        again.close()
    assert house.api.complaints() == []
    assert house.gate.complaints() == []


def test_a_machine_is_called_as_its_token_says_and_the_word_may_come_from_standard_input(house: Installation) -> None:
    word = house.token("--name", "n2", "--ttl", "10m")
    state = house.directory / "n2"
    done = house.run("compute", "--join", "-", "--state-dir", str(state), "--runtime", "nonsense", stdin=word)
    assert done.returncode == 2  # argparse: nothing was joined
    node = house.machine("n2", "--join", word)
    node.start()
    assert certificate_facts(state / "node.pem").hosts == ("node-n2",)
    node.close()
    for secret in (word, word.removeprefix("zun1.")[40:80]):
        for role in (node, house.api, house.gate):
            assert secret not in role.said()


def test_a_token_works_once(house: Installation) -> None:
    word = house.token()
    node = house.machine("n3", "--node-name", "n3", "--join", word)
    node.start()
    node.close()
    thief = house.run("compute", "--join", word, "--node-name", "n4", "--state-dir", str(house.directory / "thief"))
    assert thief.returncode == 1
    assert "This token is unknown, was used, or is too old" in thief.stderr
    assert word not in thief.stderr
    revoked = house.zunctl("node", "token", "-o", "json")
    made = json.loads(revoked)
    house.zunctl("node", "token", "--revoke", made["id"])
    late = house.run(
        "compute", "--join", made["token"], "--node-name", "n4", "--state-dir", str(house.directory / "late")
    )
    assert "This token is unknown" in late.stderr


def test_a_removed_node_is_told_so_and_a_new_token_brings_its_machine_back(house: Installation) -> None:
    node = house.machine("n5", "--node-name", "n5", "--join", house.token())
    node.start()
    with house.client() as client:
        eventually(lambda: state_of(client, "n5") == "up", "the node is up")
        removed = client.delete("/v1/services", params={"host": "n5", "binary": "zun-compute"})
        assert removed.status_code == 200, removed.text
        assert state_of(client, "n5") is None
    assert node.ends() == 1  # it may do nothing any more
    assert "This machine is not node n5 any more" in node.said()
    done = house.run("compute", "--state-dir", str(node.state_dir), "--runtime", "fake")
    assert done.returncode == 1
    assert "This machine is not node n5 any more" in done.stderr
    assert "zunctl node token --name n5" in done.stderr
    back = house.machine("n5", "--join", house.token("--name", "n5"))
    back.start()
    with house.client() as client:
        eventually(lambda: state_of(client, "n5") == "up", "the node is back")
    back.close()


def test_a_gate_that_is_killed_costs_no_node(house: Installation) -> None:
    node = house.machine("n6", "--node-name", "n6", "--join", house.token())
    node.start()
    with house.client() as client:
        eventually(lambda: state_of(client, "n6") == "up", "the node is up")
        house.gate.kill()
        another = house.another_gate("gate")
        house.stack.callback(another.close)
        another.start()
        house.gate = another
        for number in range(5):
            assert running(client, create(client, name=f"after-{number}"))["host"]
        assert state_of(client, "n6") == "up"
    node.close()


def test_an_etcd_that_trusts_its_own_authority_hears_no_node(house: Installation) -> None:
    node = house.machine("n7", "--node-name", "n7", "--join", house.token())
    node.start()
    node.close()
    settings = house.directory / "direct.ini"
    settings.write_text(f"[store]\ndriver = etcd\nendpoints = {house.etcd.endpoint}\n")
    done = house.run("compute", "--state-dir", str(node.state_dir), "--runtime", "fake", "--config", str(settings))
    assert done.returncode == 1
    assert "certificate" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--join", "zun1.nonsense"], "This is no token"),
        (["--join", ""], "This is no token"),
        (["--join", "zun1.eyJ1IjpbImh0dHA6Ly94Il19"], "This is no token"),
    ],
)
def test_what_is_no_token_is_told_in_one_line(tmp_path: Path, words: list[str], told: str) -> None:
    done = subprocess.run(
        [ZUND, "compute", *words, "--state-dir", tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, told in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
