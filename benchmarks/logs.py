# SPDX-License-Identifier: Apache-2.0
"""How fast a long log is followed through the API, and what memory the processes on the way take for it.

    python -m benchmarks.logs [--rounds 3]

API server and node are processes of their own, so that each one's memory shows. A container writes 100 MB in lines of 100 bytes; then it is
followed from its beginning to its last line by one client, in turns with the shortest way to the same log: the file itself with containerd,
the engine's own API with Docker.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.alone import run_alone
from benchmarks.house import environment
from benchmarks.log_client import LAST
from benchmarks.pods import engine
from benchmarks.rows import Part, Row, percentile
from support import docker_engine
from support.roles import Api, Role, cluster, create, running
from support.service import eventually

IMAGE = "zun.local/busybox:latest"
LINES, LINE = 1_000_000, 100
SIZE = LINES * LINE
WRITE_SECONDS, READ_SECONDS = 240, 240
SETTINGS = "[compute]\nreserved_host_memory_mib = 0\n"
KEPT_MIB = 512
"""More than the log: it is not turned over while it is measured."""

_MB = 1e6
_SCRIPT = (
    f"yes {'x' * (LINE - 1)} | head -n {LINES}; for i in 1 2 3 4 5; do echo {LAST.decode()}; done; exec sleep 100000"
)


@dataclass(frozen=True)
class Read:
    """One reading. `peaks`: the most memory of each process while it went on, and how much that is above what it held before."""

    seconds: float
    client_peak: int
    peaks: dict[str, tuple[int, int]]


@dataclass
class Site:
    """Processes of a service with a container that has written its log, and the other way to that."""

    api: Api
    node: Role
    uuid: str
    baseline: list[str]

    def ours(self) -> Read:
        """Through the API."""
        with self.api.client() as http:
            token = http.headers["X-Auth-Token"]
        address = self.api.url.removeprefix("http://")
        target = f"/v1/containers/{self.uuid}/logs/stream?follow=true"
        return self._read(["tcp", address, target, f"X-Auth-Token: {token}", "OpenStack-API-Version: container 1.40"])

    def directly(self) -> Read:
        """Without the service."""
        return self._read(self.baseline)

    def _read(self, words: list[str]) -> Read:
        processes = {"API server": self.api.pid, "node": self.node.pid}
        before = {name: _memory(pid, "VmRSS") for name, pid in processes.items()}
        for pid in processes.values():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted from now on
        command = [sys.executable, "-m", "benchmarks.log_client", *words]
        said = subprocess.run(command, check=True, capture_output=True, timeout=READ_SECONDS).stdout
        told: dict[str, Any] = json.loads(said)
        if told["bytes"] < SIZE:
            raise SystemExit(f"only {told['bytes']} of {SIZE} bytes came")
        peaks = {name: _memory(pid, "VmHWM") for name, pid in processes.items()}
        return Read(
            told["seconds"], told["peak"], {name: (peaks[name], peaks[name] - before[name]) for name in processes}
        )


def _memory(pid: int, which: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{which}:"))


@contextmanager
def site(bytecode: Path, runtime: str, settings: str) -> Iterator[Site]:
    """A service over an etcd of its own, on an engine that is there."""
    with tempfile.TemporaryDirectory(prefix="zun-bench-logs-") as name, cluster(Path(name)) as made:
        api, node = made.api("api", SETTINGS), made.compute("node1", SETTINGS + settings, runtime=runtime)
        for role in (api, made.controller("controller", SETTINGS), node):
            role.environment = environment(bytecode)
            role.start()
        with api.client() as http:
            eventually(lambda: _is_up(http.get("/v1/nodes").json()), "the node is up")
            uuid = create(http, image=IMAGE, command=["sh", "-c", _SCRIPT])
            try:
                running(http, uuid)
                wanted = LAST.decode()
                last = {"tail": "1"}
                eventually(
                    lambda: wanted in http.get(f"/v1/containers/{uuid}/logs", params=last).text,
                    "it has written its log",
                    WRITE_SECONDS,
                )
                yield Site(api, node, uuid, _baseline(runtime, node.state_dir, uuid))
            finally:
                http.delete(f"/v1/containers/{uuid}", params={"force": "true"})
                eventually(lambda: http.get(f"/v1/containers/{uuid}").status_code == 404, "it is gone")


def _is_up(told: dict[str, Any]) -> bool:
    return any(node["state"] == "up" for node in told["nodes"])


def _baseline(runtime: str, state_dir: Path, uuid: str) -> list[str]:
    if runtime == "cri":
        (log,) = (state_dir / "cri" / "logs").glob(f"{uuid}.*/log")
        return ["file", str(log)]
    filters = json.dumps({"label": [f"io.zun.uuid={uuid}"]})
    (found,) = json.loads(docker_engine.call("GET", "/containers/json", filters=filters)[1])
    return ["unix", docker_engine.SOCKET, f"/containers/{found['Id']}/logs?follow=1&stdout=1&stderr=1"]


def measured(bytecode: Path, name: str, runtime: str, settings: str, rounds: int) -> list[Row]:
    """The rows of one engine."""
    with site(bytecode, runtime, settings) as made:
        made.ours(), made.directly()  # to warm up, and so that what a first stream loads is not counted as its memory
        turns = []
        for number in range(rounds):
            pair = [made.ours, made.directly] if number % 2 else [made.directly, made.ours]
            found = {way.__name__: way() for way in pair}
            turns.append((found["ours"], found["directly"]))
    ours, direct = (SIZE / _MB / percentile([turn[which].seconds for turn in turns], 0.5) for which in range(2))
    group = f"log of {SIZE / _MB:.0f} MB followed, {name}"
    baseline = "cat of its file" if runtime == "cri" else "the engine's API"
    rows = [
        Row(
            group=group,
            measure=f"from its beginning to its last line, median of {rounds}; baseline: {baseline}",
            ours=f"{ours:,.0f} MB/s",
            baseline=f"{direct:,.0f} MB/s",
            ratio=f"{ours / direct:.2f}",
        )
    ]
    for process in ("API server", "node"):
        peak, grown = (max(turn[0].peaks[process][which] for turn in turns) for which in range(2))
        rows.append(
            Row(
                group=group,
                measure=f"most memory of the {process} meanwhile (more than before)",
                ours=f"{peak / _MB:.0f} MB ({grown / _MB:+.1f} MB)",
            )
        )
    client = max(turn[0].client_peak for turn in turns)
    rows.append(
        Row(group=group, measure="most memory of the client, which keeps nothing", ours=f"{client / _MB:.0f} MB")
    )
    return rows


async def run(bytecode: Path, rounds: int = 3) -> Part:
    """Both engines, as far as they can be had."""
    rows: list[Row] = []
    if os.geteuid() == 0 and shutil.which("containerd"):
        async with engine() as at:
            told = f"[cri]\nendpoint = {at.endpoint}\ncgroup_parent = /{at.name}\nlog_mib = {KEPT_MIB}\n"
            rows += await asyncio.to_thread(measured, bytecode, "containerd", "cri", told, rounds)
    if docker_engine.answers():
        rows += await asyncio.to_thread(
            measured, bytecode, "Docker", "docker", f"[docker]\nlog_mib = {KEPT_MIB}\n", rounds
        )
    return Part(
        rows,
        f"logs: {LINES:,} lines of {LINE} bytes that are there already, with `follow`; API server, controller and node are processes of their own over one "
        "etcd member, one client reads until the last line; both ways in turns; memory is resident",
    )


if __name__ == "__main__":
    run_alone(run, __doc__, rounds=3, means="readings of each way")
