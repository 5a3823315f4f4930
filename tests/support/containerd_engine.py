# SPDX-License-Identifier: Apache-2.0
"""A containerd of the tests' own: its root, state, socket, network bridge; gone without a trace afterwards.

Asked through generated messages and `ctr`, not through the driver, so that a driver's fault cannot hide in the checks.
"""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from support.network_machine import Namespace
from zun.drivers.runtime.cri import cri_pb2 as cri

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
_SECONDS = 60
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Containerd:
    """One that runs. `directory` holds all that is its own, `bridge` is its network.

    In a `namespace` that stands for the machine's network the service is to plug its pods in: `bin_dir` and `conf_dir` are for that.
    """

    directory: Path
    bridge: str
    subnet: str
    namespace: Namespace | None = None

    @property
    def group(self) -> str:
        """The control group that drivers of this engine are to put containers in."""
        return f"/{self.bridge}"

    @property
    def socket(self) -> Path:
        return self.directory / "state" / "containerd.sock"

    @property
    def endpoint(self) -> str:
        return f"unix://{self.socket}"

    @property
    def settings(self) -> str:
        """For a service that works with it, without quotas."""
        quota = "[quota]\ncontainers = -1\ncpu = -1\nmemory = -1\n"
        return f"{quota}[cri]\nendpoint = {self.endpoint}\ncgroup_parent = {self.group}\n"

    @property
    def bin_dir(self) -> Path:
        return self.directory / "root" / "cni" / "bin"

    @property
    def conf_dir(self) -> Path:
        return self.directory / "root" / "cni" / "net.d"

    def script(self, name: str, *words: str) -> None:
        """Run one of our scripts for this containerd."""
        environment = os.environ | {
            "ZUN_CONTAINERD_ROOT": str(self.directory / "root"),
            "ZUN_CONTAINERD_STATE": str(self.directory / "state"),
            "ZUN_CONTAINERD_BRIDGE": self.bridge,
            "ZUN_CONTAINERD_SUBNET": self.subnet,
        }
        command = [str(_SCRIPTS / name), *words]
        if self.namespace is not None:
            environment |= {"ZUN_CONTAINERD_NETWORK": "zun-cni"}
            command = self.namespace.command(*command)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it, or start it again with what is there."""
        self.script("ensure-containerd")

    def stop(self) -> None:
        """End it as an administrator would."""
        self.script("stop-containerd")

    def kill(self) -> None:
        """End it as a crash would."""
        self.script("stop-containerd", "--kill")

    def load_images(self) -> None:
        """Have the local images."""
        self.script("build-image", "--containerd", str(self.socket))

    def ctr(self, *words: str) -> str:
        """containerd's own client."""
        command = ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS).stdout

    def call(self, method: str, request: Any, answer: Any) -> Any:
        """One call of the CRI's runtime service."""
        with grpc.insecure_channel(self.endpoint) as channel:
            invoke = channel.unary_unary(
                f"/runtime.v1.RuntimeService/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            return invoke(request, timeout=_SECONDS)

    def remove_pods(self, selector: dict[str, str] | None = None) -> None:
        """Remove all sandboxes with these labels, with what is in them."""
        wanted = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector=selector or {}))
        for sandbox in self.call("ListPodSandbox", wanted, cri.ListPodSandboxResponse).items:
            stop = cri.StopPodSandboxRequest(pod_sandbox_id=sandbox.id)
            try:
                self.call("StopPodSandbox", stop, cri.Nothing)
            except grpc.RpcError:  # its process has just gone
                self.call("StopPodSandbox", stop, cri.Nothing)
            self.call("RemovePodSandbox", cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox.id), cri.Nothing)

    def remove_unplugged(self) -> None:
        """Remove all sandboxes when the service is gone, and with it whoever would answer its plugin."""
        if self.namespace is not None:
            plugin = self.bin_dir / "zun-cni"
            plugin.write_text("#!/bin/sh\n")
            plugin.chmod(0o755)
        self.remove_pods()

    def leftovers(self) -> dict[str, list[str]]:
        """What is on this machine because of pods: empty lists when there are none."""
        return {
            "containers": self.ctr("containers", "list", "--quiet").split(),
            "tasks": self.ctr("tasks", "list", "--quiet").split(),
            "snapshots": [
                line.split()[0] for line in self.ctr("snapshots", "list").splitlines()[1:]
                if line.split()[-1] == "Active" and line.split()[0] != "zun-spare" and not self.leases()
            ],
            "network namespaces": _names(self.directory / "state" / "run" / "io.containerd.grpc.v1.cri" / "netns"),
            "addresses": [
                name for name in _names(self.directory / "root" / "cni" / "addresses" / self.bridge)
                if name[0].isdecimal()
            ],
            "links": self.links(),
            "rules": self.rules(),
            "mounts": [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{self.directory}/" in line],
            "shims": self.shims(),
            "control groups": self.groups(),
        }  # fmt: skip

    def leases(self) -> list[str]:
        """What holds snapshots that containerd was making when it was killed. It lets go of them by itself, a day later."""
        return [line.split()[0] for line in self.ctr("leases", "list").splitlines()[1:] if line.strip()]

    def let_go_of_leases(self) -> None:
        """Do at once what containerd would do a day later."""
        for lease in self.leases():
            self.ctr("leases", "delete", "--sync", lease)

    def rules(self) -> list[str]:
        """What address translation holds of pods."""
        command = ["iptables", "-w", "10", "-t", "nat", "-S"]
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS).stdout
        return [line for line in told.splitlines() if "CNI-" in line and self.bridge in line]

    def groups(self) -> list[str]:
        """The control groups below the parent that drivers of this engine are given."""
        return sorted({name for path in self._parents() for name in _names(path) if (path / name).is_dir()})

    def remove_groups(self) -> None:
        """Remove the empty groups, and their parent."""
        for parent in self._parents():
            for path in sorted((path for path in parent.rglob("*") if path.is_dir()), reverse=True):
                path.rmdir()
            parent.rmdir()

    def end_processes(self) -> None:
        """End what containerd forgot when it was killed, and nobody was left to clear away."""
        deadline = time.monotonic() + _SECONDS
        while pids := self._processes():
            assert time.monotonic() < deadline, f"processes {pids} do not end"
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _processes(self) -> set[int]:
        groups = [path for parent in self._parents() for path in parent.rglob("cgroup.procs")]
        return {int(pid) for group in groups for pid in group.read_text().split()}

    def links(self) -> list[str]:
        """The ends of pods' networks on the bridge, or on those of the service."""
        if self.namespace is not None:
            return [link["ifname"] for link in self.namespace.ip("link") if link["ifname"].startswith("zunv")]
        return _names(Path("/sys/class/net") / self.bridge / "brif")

    def _parents(self) -> list[Path]:
        roots = [_CGROUPS, *(path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink())]
        return [parent for root in roots if (parent := root / self.group.lstrip("/")).is_dir()]

    def shims(self) -> list[str]:
        """The processes that hold its containers."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended since
            if words[0].endswith(b"containerd-shim-runc-v2") and str(self.socket).encode() in words:
                found.append(path.parent.name)
        return found


def available() -> bool:
    """Whether this machine can run one."""
    programs = all(shutil.which(name) for name in ("containerd", "ctr", "runc", "iptables"))
    return programs and Path("/usr/lib/cni/bridge").exists() and os.geteuid() == 0


@contextmanager
def containerd(namespace: Namespace | None = None) -> Iterator[Containerd]:
    """Run one while the block runs. Skips the test where it cannot, and says what to do."""
    if not available():
        pytest.skip("needs containerd, CNI plugins and root: run scripts/ensure-containerd")
    directory = Path(tempfile.mkdtemp(prefix="zun-cri-"))
    prefix = f"10.{random.randint(128, 254)}.{random.randint(0, 254)}"
    engine = Containerd(directory, f"zt{random.randrange(16**8):08x}", f"{prefix}.0/24", namespace)
    try:
        engine.start()
        engine.load_images()
        yield engine
    finally:
        _clear_away(engine)


def _clear_away(engine: Containerd) -> None:
    try:
        engine.start()
        engine.remove_unplugged()
    finally:
        engine.script("stop-containerd", "--network")
        for pid in engine.shims():
            os.kill(int(pid), signal.SIGKILL)
        engine.end_processes()
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for path in sorted((path for path in mounts if path.startswith(f"{engine.directory}/")), reverse=True):
            subprocess.run(["umount", "--lazy", path], check=False, capture_output=True, timeout=_SECONDS)
        engine.remove_groups()
        shutil.rmtree(engine.directory)


def _names(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir()) if path.is_dir() else []


def wait_until_gone(pid: int) -> None:
    """Return when a process has ended."""
    deadline = time.monotonic() + _SECONDS
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.01)
