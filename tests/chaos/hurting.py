# SPDX-License-Identifier: Apache-2.0
"""Lets accidents happen to a cluster and mends them; meanwhile starts again what ended by itself, as systemd does."""

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from chaos.accidents import Accident, Kind
from chaos.observing import Observer, kill
from chaos.timeline import Timeline
from lab.cluster import Cluster
from lab.hosts import LabError
from lab.machine import Machine

SUPERVISION_SECONDS = 0.5
ENGINE = ("containerd", "dockerd")  # these end when the other is away, and are Debian's business
_WAIT_SECONDS = 120


class Hurting:
    """Accidents to one cluster. `faults` are those that no accident explains; `hit` are containers whose process it killed."""

    def __init__(self, cluster: Cluster, timeline: Timeline, observer: Observer | None, seed: int) -> None:
        self.faults: list[str] = []
        self.hit: set[str] = set()
        self._cluster = cluster
        self._timeline = timeline
        self._observer = observer
        self._rng = random.Random(seed)
        self._down: set[str] = set()  # machines and processes that are down on purpose
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)
        self._switch = threading.Lock()  # of the network: its rules are one file
        self._over = threading.Event()
        self._supervising = ThreadPoolExecutor(1).submit(self._supervise)

    def suffer(self, accidents: list[Accident]) -> None:
        """Let a round happen, to the end of its last accident."""
        with ThreadPoolExecutor(len(accidents)) as pool:
            happening = [pool.submit(self._guarded, accident) for accident in accidents]
        for one in happening:
            one.result()

    def close(self) -> None:
        """Start nothing again any more. Raises what ended the supervision before its time."""
        self._over.set()
        self._supervising.result(_WAIT_SECONDS)

    def _guarded(self, accident: Accident) -> None:
        time.sleep(accident.after)
        try:
            self._happen(accident)
        except LabError as error:
            self._fault(f"{accident}: {error}")

    def _happen(self, accident: Accident) -> None:
        happens, mended = self._both(accident)
        self._timeline.tell(f"{accident.kind} {accident.target} {accident.other}".rstrip())
        happens()
        self._timeline.tell(f"  … done: {accident.kind} {accident.target}")
        time.sleep(accident.lasts)
        mended()
        if accident.kind is not Kind.CONTAINER:
            self._timeline.tell(f"mended: {accident.kind} {accident.target} {accident.other}".rstrip())

    def _both(self, accident: Accident) -> tuple[Callable[[], None], Callable[[], None]]:
        """How it happens, and how it is mended."""
        target = accident.target
        if accident.kind in (Kind.CUT, Kind.PART):
            return lambda: self._cut(target, accident.other), lambda: self._join(target)
        if accident.kind is Kind.FREEZE:
            return lambda: self._cluster.freeze(target), lambda: self._thaw(target)
        if accident.kind is Kind.CONTAINER:
            return lambda: self._kill_container(target), lambda: None
        number = signal.SIGKILL if accident.kind is Kind.KILL else signal.SIGTERM
        return lambda: self._end(target, number), lambda: self._begin(target)

    def _cut(self, name: str, other: str) -> None:
        with self._switch:
            self._cluster.cut(name, other)

    def _join(self, name: str) -> None:
        with self._switch:
            self._cluster.heal(name)

    def _thaw(self, target: str) -> None:
        if self._observer is not None:
            self._observer.wakes(target.partition("/")[0])
        self._cluster.thaw(target)

    def _kill_container(self, name: str) -> None:
        """Any container that runs there now, by a signal to its processes."""
        running = self._observer.running_on(name) if self._observer is not None else {}
        if not running:
            self._timeline.tell(f"  … no container runs on {name}")
            return
        uuid = self._rng.choice(sorted(running))
        self.hit.add(uuid)
        self._timeline.tell(f"  … it is {uuid}")
        kill(running[uuid])

    def _end(self, target: str, number: signal.Signals) -> None:
        machine, _ = self._cluster.find(target)
        with self._locks[machine.name]:
            self._down.add(target)
        if number is signal.SIGKILL:
            self._cluster.kill9(target)
        else:
            self._cluster.stop(target)

    def _begin(self, target: str) -> None:
        machine, processes = self._cluster.find(target)
        with self._locks[machine.name]:
            machine.boot()
            for process in processes:
                machine.start(process)
            self._down.discard(target)

    # what systemd does

    def _supervise(self) -> None:
        while not self._over.wait(SUPERVISION_SECONDS):
            for machine in self._cluster.machines.values():
                with self._locks[machine.name]:
                    if machine.name not in self._down and machine.pid:
                        self._look_after(machine)

    def _look_after(self, machine: Machine) -> None:
        try:
            status = machine.status()
            for process in self._cluster.processes(machine):
                target = f"{machine.name}/{process.name}"
                said = status.get(process.name)
                if said is None or said["code"] is None or target in self._down:
                    continue
                text = f"{target} has ended by itself ({said['code']})"
                self._timeline.tell(text)
                if process.name not in ENGINE:
                    self._fault(text)
                machine.start(process)
        except LabError as error:
            self._timeline.tell(f"{machine.name} is not looked after: {error}")

    def wait_until_all_work(self) -> None:
        """Every process is ready again."""
        deadline = time.monotonic() + _WAIT_SECONDS
        for machine in self._cluster.machines.values():
            for process in self._cluster.processes(machine):
                while not machine.is_ready(process):
                    if time.monotonic() > deadline:
                        self._fault(
                            f"{machine.name}/{process.name} is not ready {_WAIT_SECONDS} s after everything was mended"
                        )
                        return
                    time.sleep(0.1)

    def _fault(self, text: str) -> None:
        self.faults.append(f"{self._timeline.now():.2f}: {text}")
