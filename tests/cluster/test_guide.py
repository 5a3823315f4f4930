# SPDX-License-Identifier: Apache-2.0
"""The operator guide's installation on several machines does what it says: its commands are run as written, each on its machine.

There is no systemd and no terminal for each process: the machine's first process has what runs in the foreground, and what units would run, as
their users. Copies between machines are made from outside.
"""

import re
import shlex
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import guide
from cluster.conftest import temporary
from lab import engine
from lab.cluster import Cluster
from lab.machine import Machine
from lab.processes import Process

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "operator-guide.md"
MACHINES = ("lb", "control1", "control2", "node1")
SHOWN_TOKEN = "zun1.eyJ1…"
DOCTOR = ".venv/bin/zunctl --url http://10.99.0.10 doctor -a"
HELLO = ".venv/bin/zunctl run --rm zun.local/busybox:latest echo hello"
_STAYS = re.compile(r"(?:\.venv/bin/)?(?P<program>etcd|haproxy|zund (?:api|controller|gate|compute)) ")
_SAYS = {"etcd": "serving client traffic securely", "haproxy": "", "zund": "is ready"}


class Reader:
    """Somebody who follows the guide."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._token = SHOWN_TOKEN
        self.answers: dict[str, str] = {}
        """What commands printed that ended."""

    def follow(self, step: guide.Step) -> None:
        """Do what one block says, on each machine it is for."""
        for machine in (self._cluster.machines[name] for name in step.machines):
            if step.configuration:
                machine.path("/etc/zun.conf").write_text(step.configuration)
            for command in step.commands:
                self._run(machine, command)

    def _run(self, machine: Machine, command: str) -> None:
        written = command.replace(SHOWN_TOKEN, self._token)
        if command.startswith("rsync "):
            self._copy(machine, *shlex.split(command, comments=True)[-2:])
        elif command.startswith("systemctl "):
            for unit in shlex.split(command, comments=True)[3:]:
                _start_unit(machine, unit)
        elif stays := _STAYS.match(command):
            _stay(machine, stays["program"], written)
        else:
            answer = self.answers[command] = machine.run("bash", "-c", f"cd {ROOT} && {written}")
            if token := re.search(r"--join (zun1\.\S+)", answer):
                self._token = token[1]

    def _copy(self, machine: Machine, source: str, target: str) -> None:
        address, _, place = target.partition(":")
        (other,) = (one for one in self._cluster.machines.values() if one.host.address == address)
        shutil.copytree(machine.path(source), other.path(place), dirs_exist_ok=True)


def _stay(machine: Machine, program: str, command: str) -> None:
    """Start what runs in the foreground, after Ctrl-C if it runs, and wait until it is ready."""
    name = program.rsplit(maxsplit=1)[-1]
    process = Process(name, ["bash", "-c", f"cd {ROOT} && exec {command}"], says=_SAYS[program.split(maxsplit=1)[0]])
    _start(machine, process)


def _start_unit(machine: Machine, unit: str) -> None:
    """Start what a unit would run, as its user; what still runs by hand is stopped."""
    text = machine.path(f"/etc/systemd/system/{unit}.service").read_text()
    said = dict(re.findall(r"^(ExecStart|User)=(.*)$", text, re.MULTILINE))
    user = said.get("User", "root")
    argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *shlex.split(said["ExecStart"])]
    role = unit.removeprefix("zun-")
    _start(machine, Process(role, argv, says="" if role == "watchdog" else _SAYS["zund"]))


def _start(machine: Machine, process: Process) -> None:
    machine.end(process.name, signal.SIGINT)
    machine.start(process)
    machine.wait_ready(process)


def _open_to_everybody(machine: Machine, *places: Path) -> None:
    """Let every user of the machine reach these, which may lie in a home: units' users have to run what is there."""
    tops = {Path("/", place.parts[1]) for place in places if not _is_open(place)}
    hidden = [place for place in places if Path("/", place.parts[1]) in tops]
    for number, place in enumerate(hidden):
        machine.run("bash", "-c", f"mkdir /run/place{number} && mount --rbind {place} /run/place{number}")
    for top in tops:
        machine.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", top)
    for number, place in enumerate(hidden):
        machine.run("bash", "-c", f"mkdir -p {place} && mount --rbind /run/place{number} {place}")


def _is_open(place: Path) -> bool:
    return all(one.stat().st_mode & stat.S_IXOTH for one in (place, *place.parents))


@pytest.fixture
def reader() -> Iterator[Reader]:
    """At machines that have nothing but a checkout, a node's engine, and a network."""
    with temporary("guide") as cluster:
        cluster.begin()
        cluster.network.start_switch()
        for machine in (cluster.machines[name] for name in MACHINES):
            engine.furnish(machine)
            machine.finish_furnishing()
            machine.boot()
            _open_to_everybody(machine, ROOT, Path(sys.base_prefix))
        node = cluster.machines["node1"]
        for process in engine.processes(node):
            node.start(process)
            node.wait_ready(process)
        yield Reader(cluster)


def test_following_the_guide_gives_machines_that_run_containers(reader: Reader) -> None:
    for step in guide.steps(GUIDE):
        reader.follow(step)
    # Again after what root did in the directory of units that run as another user.
    reader.follow(guide.Step(("control1",), "", ("systemctl enable --now zun-api", DOCTOR, HELLO)))
    told = reader.answers
    assert re.search(r"^node1 +up +yes ", told[".venv/bin/zunctl node list"], re.M)
    for role in ("api", "controller", "gate"):
        assert re.search(rf"^ok +processes: {role}: control\d:\d+, control\d:\d+$", told[DOCTOR], re.M)
    assert told[HELLO] == "hello\n"
