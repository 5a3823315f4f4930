# SPDX-License-Identifier: Apache-2.0
"""What was asked of etcd in a stretch of the run, and how fast a bare client does the same."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.fleet import bare, wal
from support.fleet.costs import cpu_seconds
from support.fleet.fleet import Fleet
from support.fleet.reading import connect
from zun.store import keys
from zun.store.etcd import rpc_pb2 as pb
from zun.store.interface import Put

IN_FLIGHT = (16, 32, 64)
"""The bare client may choose."""

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 900


def mark(made: Fleet, name: str) -> None:
    """Leave a mark in etcd's log."""

    async def write() -> None:
        store = await connect(made.cluster.endpoint)
        await store.transact([], [Put(f"{keys.TOUCHED}{name}", b"")])
        await store.close()

    asyncio.run(write())


def asked(made: Fleet, begin: str, end: str) -> list[pb.TxnRequest]:
    """The transactions for containers between two marks; what nodes say of themselves now and then is left out."""
    found = wal.transactions(made.cluster.etcd.data_dir, f"{keys.TOUCHED}{begin}", f"{keys.TOUCHED}{end}")
    return [request for request in found if not _of_nodes(request)]


def _of_nodes(request: pb.TxnRequest) -> bool:
    out = keys.OUT.encode()
    written = [op.request_put.key for op in request.success]
    return all(key.startswith(out) and key.endswith((b"/info", b"/alive")) for key in written)


class Replayed(msgspec.Struct):
    """The fastest of some runs."""

    containers: int
    seconds: float
    client_cpu: float
    etcd_cpu: float
    in_flight: int

    @property
    def per_second(self) -> float:
        """Containers a second."""
        return self.containers / self.seconds


def replay(made: Fleet, requests: Sequence[pb.TxnRequest], directory: Path, name: str, *, containers: int) -> Replayed:
    """Do the transactions of so many containers again with a bare client; the fastest counts. `name` (two letters) tells runs apart."""
    file = directory / f"requests-{name}"
    bare.write_requests(file, requests)
    runs = []
    for number, in_flight in enumerate(IN_FLIGHT):
        before = cpu_seconds(made.cluster.etcd.pid)
        told = _run(made, file, prefix=f"/{name}{number}/", in_flight=in_flight)
        used = cpu_seconds(made.cluster.etcd.pid) - before
        runs.append(Replayed(containers, told["seconds"], told["cpu"], used, in_flight))
    file.unlink()
    return min(runs, key=lambda run: run.seconds)


def _run(made: Fleet, file: Path, *, prefix: str, in_flight: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.fleet.bare", "--endpoint", made.cluster.endpoint]
    command += ["--requests", str(file), "--prefix", prefix, "--in-flight", str(in_flight)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_SECONDS, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
