# SPDX-License-Identifier: Apache-2.0
"""Which containers run where, seen from below: control groups and processes, past everything that may be dead, frozen or mistaken."""

import json
import os
import re
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from chaos.timeline import Timeline
from lab.cluster import Cluster
from lab.control_groups import ROOT
from lab.machine import Machine

LOOK_SECONDS = 0.2
STARTLED_SECONDS = 5.0
"""So long after it was frozen a node may run what it should not, until its watchdog has looked (decision 28). The cores are busy."""

_END_SECONDS = 30
_HIERARCHY = "pids"  # the first version of control groups has several
_FROZEN = {"FROZEN", "1"}
_NAME = re.compile(r"/?zun-(?P<uuid>[0-9a-f-]{36})(-g[0-9]+)?")


class Observer:
    """Looks several times a second. `twice` says when and where a container ran at two places without excuse."""

    def __init__(self, cluster: Cluster, timeline: Timeline) -> None:
        self.twice: list[str] = []
        self._timeline = timeline
        self._machines = [machine for machine in cluster.machines.values() if machine.host.role == "node"]
        self._prefix = cluster.prefix
        self._groups = (ROOT / _HIERARCHY if (ROOT / _HIERARCHY).is_dir() else ROOT) / cluster.prefix
        self._names: dict[str, str] = {}
        self._told: set[str] = set()
        self._woken: dict[str, float] = defaultdict(lambda: -STARTLED_SECONDS)
        self._over = threading.Event()
        self._watching = ThreadPoolExecutor(1).submit(self._watch)

    def close(self) -> None:
        """Look no more. Raises what ended the looking before its time."""
        self._over.set()
        self._watching.result(_END_SECONDS)

    def wakes(self, name: str) -> None:
        """A machine, or a process of it, is about to be thawed."""
        self._woken[name] = self._timeline.now()

    def running_on(self, name: str) -> dict[str, list[int]]:
        """The containers that run on a machine, with the ids that their processes have on this computer."""
        machine = next(one for one in self._machines if one.name == name)
        return dict(self._running(machine))

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            homes: dict[str, set[str]] = defaultdict(set)
            for machine in self._machines:
                for uuid, _ in self._running(machine):
                    homes[uuid].add(machine.name)
            said = {self._note(uuid, names) for uuid, names in homes.items()}
            self._told &= said

    def _note(self, uuid: str, names: set[str]) -> str:
        """What is to be said of a container's homes, which is said once; empty when it has one."""
        if len(names) == 1:
            return ""
        where = " and ".join(sorted(names))
        excused = any(self._timeline.now() - self._woken[name] < STARTLED_SECONDS for name in names)
        line = f"{uuid} runs on {where} at once{', one of which has just woken' if excused else ''}"
        if line not in self._told:
            self._told.add(line)
            self._timeline.tell(line)
            if not excused:
                self.twice.append(f"{self._timeline.now():.2f}: {line}")
        return line

    def _running(self, machine: Machine) -> Iterator[tuple[str, list[int]]]:
        for group in (self._groups / machine.name).glob("*/cgroup.procs"):
            with suppress(OSError):
                pids = [int(line) for line in group.read_text().split()]
                if (
                    any(map(_lives, pids))
                    and not self._is_paused(machine, group.parent.name)
                    and (uuid := self._uuid(machine, group.parent.name))
                ):
                    yield uuid, pids

    def _is_paused(self, machine: Machine, container: str) -> bool:
        """Whether its processes are held still, also against a SIGKILL: under version 1 that only waits for them to be thawed."""
        states = (
            ROOT / "freezer" / self._prefix / machine.name / container / "freezer.state",
            ROOT / self._prefix / machine.name / container / "cgroup.freeze",
        )
        return any(path.exists() and path.read_text().strip() in _FROZEN for path in states)

    def _uuid(self, machine: Machine, container: str) -> str:
        """Whose object it is, from the engine's file; empty for one that is not ours, or not known yet."""
        if container not in self._names:
            path = machine.disk("docker") / "containers" / container / "config.v2.json"
            with suppress(OSError, ValueError):
                self._names[container] = container_of(json.loads(path.read_text())["Name"])
        return self._names.get(container, "")


def container_of(name: str) -> str:
    """The container whose object has that name, `zun-<uuid>` and perhaps its generation; empty for one that is not ours."""
    found = _NAME.fullmatch(name)
    return found["uuid"] if found is not None else ""


def _lives(pid: int) -> bool:
    """Whether it can do anything: not stopped, not dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TZX"
    except OSError:
        return False


def kill(pids: list[int]) -> None:
    """End these processes; those that have ended already are ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
