# SPDX-License-Identifier: Apache-2.0
"""The whole cluster: brought up, hurt and healed by name, and taken away without a trace.

A target is a machine (`node1`) or a process on one (`node1/dockerd`).
"""

import json
import shutil
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import authorities, balancer, control_groups, engine, etcd, zun
from lab.hosts import HOSTS, Host, LabError
from lab.machine import Machine
from lab.network import Network
from lab.ports import free_port
from lab.processes import Process

RUNTIMES = ("docker", "fake")
_FORBIDDEN = ("/etc", "/run", "/var/lib", "/var/run", "/proc", "/sys")  # machines have these of their own
_PATH_MARKS = set(":,\\")  # a mount's options are separated by them


def silent(_text: str) -> None:
    """Say nothing."""


class Cluster:
    """One cluster with all it keeps below one directory. Several may live side by side when their prefixes differ."""

    def __init__(
        self,
        directory: Path,
        *,
        prefix: str = "zun-cluster",
        runtime: str = "docker",
        port: int = 0,
        settings: str = "",
        say: Callable[[str], None] = silent,
    ) -> None:
        self.directory = directory.resolve()
        self._record = self.directory / "cluster.json"
        self._say = say
        self.settings = settings
        said = json.loads(self._record.read_text()) if self._record.exists() else {}
        self.prefix = str(said.get("prefix", prefix))
        self.runtime = str(said.get("runtime", runtime))
        self.port = int(said.get("port", port))
        self.network = Network(self.prefix, self.directory)
        self.machines = {host.name: Machine(host, self.directory, self.network) for host in HOSTS}

    @property
    def url(self) -> str:
        """Where the host reaches the API, through the balancer."""
        return f"http://127.0.0.1:{self.port}"

    def exists(self) -> bool:
        """Whether this directory holds a cluster, up or half up."""
        return self._record.exists()

    def up(self) -> None:
        """Bring everything up that is not; what runs is left alone. Raises `LabError`."""
        self.begin()
        self._say("Machines: " + ", ".join(self.machines))
        self.network.start_switch()
        first, *others = self.with_role("control")
        authorities.prepare(first)
        each(self._furnish, self.machines.values())
        each(Machine.boot, self.machines.values())
        self._say("etcd, the balancer, the nodes' engines")
        each(lambda machine: _start(machine, self._ground(machine)), self.machines.values())
        if self.runtime == "docker":
            self._say("Local images, into each node's engine")
            each(engine.load_images, self.with_role("node"))
        self._say("API servers, controllers, gates")
        zun.let_etcd_check(first)
        _start(first, zun.processes(first)[:1])
        for machine in others:
            zun.share_secrets(first, machine)
        each(lambda machine: _start(machine, zun.processes(machine)), [first, *others])
        self._say("Nodes")
        each(lambda machine: self._join(first, machine), self.with_role("node"))
        zun.write_access(first, self.directory, self.url)

    def _join(self, first: Machine, node: Machine) -> None:
        zun.invite(first, node)
        _start(node, zun.processes(node))

    def down(self) -> None:
        """End every process, remove every namespace and mount, and forget everything. Raises `LabError` when something is left."""
        each(Machine.power_off, self.machines.values())
        self.network.remove_switch()
        control_groups.remove(self.prefix)
        if self.exists():
            shutil.rmtree(self.directory)
        left = [
            *(f"network namespace {name}" for name in self.network.namespaces()),
            *(f"control group {path}" for path in control_groups.present(self.prefix)),
            *(
                f"mount {line}"
                for line in Path("/proc/self/mounts").read_text().splitlines()
                if str(self.directory) in line
            ),
        ]
        if left:
            raise LabError("The cluster is down, but this is left: " + "; ".join(left))

    def processes(self, machine: Machine) -> list[Process]:
        """Give what should run on a machine, in the order it starts."""
        service = zun.processes(machine) if machine.host.role in ("control", "node") else []
        return [*self._ground(machine), *service]

    def _ground(self, machine: Machine) -> list[Process]:
        """What the service stands on."""
        role = machine.host.role
        if role == "etcd":
            return etcd.processes(machine)
        if role == "balancer":
            return balancer.processes(lambda: self.port)
        return engine.processes(machine) if role == "node" and self.runtime == "docker" else []

    def targets(self) -> list[str]:
        """Name everything that can be hurt."""
        return [
            *self.machines,
            *(
                f"{name}/{process.name}"
                for name, machine in self.machines.items()
                for process in self.processes(machine)
            ),
        ]

    def find(self, target: str) -> tuple[Machine, list[Process]]:
        """Give the machine and the processes that a target names. Raises `LabError`."""
        name, _, wanted = target.partition("/")
        machine = self.machines.get(name)
        found = [] if machine is None else [p for p in self.processes(machine) if wanted in ("", p.name)]
        if machine is None or (wanted and not found):
            raise LabError(f"There is no {target} in the cluster; there are: {', '.join(self.targets())}.")
        return machine, found

    def start(self, target: str) -> None:
        """Switch a machine on with all its processes, or start one process; wait until it is ready."""
        machine, processes = self.find(target)
        if "/" not in target:
            machine.boot()
        _start(machine, processes)

    def stop(self, target: str) -> None:
        """End processes as an operator does, the last one first; a whole machine is switched off afterwards."""
        machine, processes = self.find(target)
        for process in reversed(processes):
            machine.end(process.name, signal.SIGTERM)
        if "/" not in target:
            machine.power_off()

    def restart(self, target: str) -> None:
        """Stop and start."""
        self.stop(target)
        self.start(target)

    def kill9(self, target: str) -> None:
        """Kill a process, or take a machine's power away: its containers die with it, and its connections are not closed."""
        machine, processes = self.find(target)
        if "/" not in target:
            machine.power_off()
        else:
            machine.end(processes[0].name, signal.SIGKILL)

    def freeze(self, target: str) -> None:
        """Stop a process, or all of a machine, in the middle of whatever it does."""
        machine, processes = self.find(target)
        if "/" not in target:
            machine.freeze()
        else:
            machine.send(processes[0].name, signal.SIGSTOP)

    def thaw(self, target: str) -> None:
        """Let a frozen one go on."""
        machine, processes = self.find(target)
        if "/" not in target:
            machine.thaw()
        else:
            machine.send(processes[0].name, signal.SIGCONT)

    def cut(self, name: str, other: str = "") -> None:
        """Let no packet pass between a machine and another one, or all others."""
        self.network.cut(self._host(name), self._host(other) if other else None)

    def heal(self, name: str = "") -> None:
        """Take back the cuts of a machine, or all of them."""
        self.network.heal(self._host(name) if name else None)

    def _host(self, name: str) -> Host:
        return self.find(name.partition("/")[0])[0].host

    def with_role(self, role: str) -> list[Machine]:
        return [machine for machine in self.machines.values() if machine.host.role == role]

    def begin(self) -> None:
        """Have the directory where all is kept, so that `down` finds it. Raises `LabError`."""
        if set(str(self.directory)) & _PATH_MARKS or any(self.directory.is_relative_to(place) for place in _FORBIDDEN):
            raise LabError(
                f"A cluster cannot be kept in {self.directory}; choose a plain path outside {', '.join(_FORBIDDEN)}."
            )
        if not self.exists() and self.network.namespaces():
            raise LabError(
                f"Another cluster with the prefix {self.prefix} has namespaces ({', '.join(self.network.namespaces())}); take it down first, or choose another --prefix."
            )
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.exists():
            self.port = self.port or free_port()
            said = {"prefix": self.prefix, "runtime": self.runtime, "port": self.port}
            self._record.write_text(json.dumps(said))

    def _furnish(self, machine: Machine) -> None:
        """Put on the machine's disk what it needs before it is switched on for the first time."""
        if machine.is_furnished:
            return
        role = machine.host.role
        if role in ("control", "etcd"):
            authorities.certify(self.with_role("control")[0], machine)
        if role == "balancer":
            balancer.furnish(machine)
        if role == "node":
            engine.furnish(machine)
        if role in ("control", "node"):
            zun.furnish(machine, self.runtime, self.settings)
        machine.finish_furnishing()


def _start(machine: Machine, processes: list[Process]) -> None:
    for process in processes:
        machine.start(process)
        machine.wait_ready(process)


def each(do: Callable[[Machine], None], machines: Iterable[Machine]) -> None:
    """Do it to all of them at the same time, and wait for all. Raises the first failure, once every one has ended."""
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(do, machine) for machine in machines]
    for future in futures:
        future.result()
