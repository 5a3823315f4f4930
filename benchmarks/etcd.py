# SPDX-License-Identifier: Apache-2.0
"""The etcd store against a bare gRPC client on the same server in the same run, and what heartbeats of a fleet cost.

python -m benchmarks.etcd [--leases 5000] [--seconds 15]
"""

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import uvloop

from benchmarks.rows import Part, Row, milliseconds, percentile, rate
from support.etcd_cluster import EtcdCluster
from zun.base.clock import SystemClock
from zun.store.etcd import messages
from zun.store.etcd import rpc_pb2 as pb
from zun.store.etcd.address import addresses_of
from zun.store.etcd.channel import Calls, open_channel
from zun.store.etcd.store import EtcdStore
from zun.store.etcd.tls import TlsFiles
from zun.store.interface import Put, unchanged
from zun.store.options import StoreOptions

GROUP = "etcd, three members, TLS"
IN_FLIGHT = 32
ROUNDS = 3
ALONE, TOGETHER = 300, 3000
"""Calls of a round, one after the other and in flight together."""

VALUE = b"x" * 1000
HEARTBEAT_SECONDS = 3.0
TICKS = os.sysconf("SC_CLK_TCK")

Call = Callable[[int], Awaitable[object]]


@asynccontextmanager
async def bare(options: StoreOptions):  # type: ignore[no-untyped-def]
    """Nothing but the calls, on one channel to the first member."""
    credentials = TlsFiles(options, SystemClock()).load()
    async with open_channel(addresses_of(options)[0], credentials) as channel:
        yield Calls(channel)


def ours_and_bare(store: EtcdStore, calls: Calls) -> dict[str, tuple[Call, Call]]:
    """The same requests, made by either."""

    def claim(number: int) -> tuple[str, str]:
        return f"/claim/{number:08}", f"/count/{number % 100}"

    async def our_claim(number: int) -> object:
        key, count = claim(number)
        return await store.transact([unchanged(key, 0)], [Put(key, VALUE[:200]), Put(count, b"1")])

    async def bare_claim(number: int) -> object:
        key, count = claim(number)
        ops = [Put(key, VALUE[:200]), Put(count, b"1")]
        return await calls.txn(messages.transaction([unchanged(key, 0)], ops, []), timeout=10)

    async def bare_put(number: int) -> object:
        return await calls.txn(messages.transaction([], [Put(f"/b/{number % 5000}", VALUE)], []), timeout=10)

    return {
        "put of 1 kB": (lambda number: store.transact([], [Put(f"/b/{number % 5000}", VALUE)]), bare_put),
        "get": (
            lambda number: store.get(f"/b/{number % 100}"),
            lambda number: calls.range(pb.RangeRequest(key=f"/b/{number % 100}".encode()), timeout=10),
        ),
        "conditional transaction of two puts": (our_claim, bare_claim),
    }


async def one_by_one(call: Call, numbers: range) -> float:
    """The median of calls one after the other, in seconds."""
    taken = []
    for number in numbers:
        begin = time.perf_counter()
        await call(number)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


async def together(call: Call, numbers: range) -> float:
    """Calls a second with 32 in flight."""
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            await call(number)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as workers:
        for _ in range(IN_FLIGHT):
            workers.create_task(worker())
    return len(numbers) / (time.perf_counter() - begin)


async def calls_rows(store: EtcdStore, options: StoreOptions) -> list[Row]:
    """Latency and throughput, ours and bare in turns."""
    rows, start = [], 0
    async with bare(options) as calls:
        for what, pair in ours_and_bare(store, calls).items():
            latency: tuple[list[float], list[float]] = ([], [])
            speed: tuple[list[float], list[float]] = ([], [])
            for _ in range(ROUNDS):
                for side, call in enumerate(pair):
                    latency[side].append(await one_by_one(call, range(start, start + ALONE)))
                    speed[side].append(await together(call, range(start + ALONE, start + ALONE + TOGETHER)))
                    start += ALONE + TOGETHER
            (ours, other), (our_speed, other_speed) = (
                tuple(map(statistics.median, latency)),
                tuple(map(statistics.median, speed)),
            )
            rows += [
                Row(
                    group=GROUP,
                    measure=f"{what}, p50",
                    ours=milliseconds(ours),
                    baseline=milliseconds(other),
                    ratio=f"{ours / other:.2f}",
                ),
                Row(
                    group=GROUP,
                    measure=f"{what}, {IN_FLIGHT} in flight",
                    ours=rate(our_speed),
                    baseline=rate(other_speed),
                    ratio=f"{our_speed / other_speed:.2f}",
                ),
            ]
    return rows


def processor_seconds(pid: int) -> float:
    """What a process used of the processor so far."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


async def heartbeats(
    renew: Callable[[int], Awaitable[object]], leases: list[int], seconds: float, servers: list[int]
) -> tuple[float, float, float]:
    """Every lease renewed every 3 s for a while, evenly spread: p99 of a renewal, and per renewal the processor's time here and in etcd."""
    taken: list[float] = []
    until = time.perf_counter() + seconds

    async def node(lease: int, offset: float) -> None:
        await asyncio.sleep(offset)
        while (begin := time.perf_counter()) < until:
            await renew(lease)
            taken.append(time.perf_counter() - begin)
            await asyncio.sleep(max(0.0, begin + HEARTBEAT_SECONDS - time.perf_counter()))

    here = time.process_time()
    there = sum(map(processor_seconds, servers))
    async with asyncio.TaskGroup() as nodes:
        for place, lease in enumerate(leases):
            nodes.create_task(node(lease, HEARTBEAT_SECONDS * place / len(leases)))
    return (
        percentile(taken, 0.99),
        (time.process_time() - here) / len(taken),
        (sum(map(processor_seconds, servers)) - there) / len(taken),
    )


async def heartbeat_rows(
    store: EtcdStore, options: StoreOptions, servers: list[int], count: int, seconds: float
) -> list[Row]:
    """One stream for all leases, and for comparison a stream for each renewal."""
    leases: list[int] = []

    async def grant(_: int) -> None:
        leases.append(await store.grant_lease(60))

    await together(grant, range(count))
    ours = await heartbeats(store.keep_alive, leases, seconds, servers)
    async with bare(options) as calls:

        async def renew(lease: int) -> None:
            stream = calls.keep_alive(timeout=10)
            await stream.write(pb.LeaseKeepAliveRequest(ID=lease))
            answer = await stream.read()
            stream.cancel()
            if answer is grpc.aio.EOF:
                raise SystemExit("etcd ended a keep-alive stream")

        other = await heartbeats(renew, leases, seconds, servers)
    return [
        Row(
            group=GROUP,
            measure=f"{count:,} leases renewed every 3 s: {what} (baseline: a stream for each renewal)",
            ours=milliseconds(ours[place]),
            baseline=milliseconds(other[place]),
            ratio=f"{ours[place] / other[place]:.2f}",
        )
        for place, what in enumerate(("p99 of a renewal", "processor of the client, each", "processor of etcd, each"))
    ]


async def run(_: Path, leases: int = 5000, seconds: float = 15.0) -> Part:
    """All rows."""
    if shutil.which("etcd") is None:
        return Part([], "etcd: not measured, it is not installed (scripts/ensure-etcd)")
    with tempfile.TemporaryDirectory(prefix="zun-bench-") as name, EtcdCluster(Path(name)) as cluster:
        first = cluster.leader()
        options = cluster.client_options(endpoints=[cluster.endpoints[first]])
        store = await EtcdStore.connect(options, SystemClock())
        try:
            rows = await calls_rows(store, options)
            rows += await heartbeat_rows(store, options, cluster.pids, leases, seconds)
        finally:
            await store.close()
    return Part(
        rows,
        f"etcd: three members on this machine, certificates on both sides, all calls to the leader; the baseline is grpc.aio with the same "
        f"messages and one channel, in turns with ours, medians of {ROUNDS} rounds; the processor's time of etcd is that of its three members together",
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--leases", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=15.0)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        part = runner.run(run(Path(), given.leases, given.seconds))
    for row in part.rows:
        print(f"{row.measure:90} {row.ours:>12} {row.baseline:>12} {row.ratio:>6}")


if __name__ == "__main__":
    main()
