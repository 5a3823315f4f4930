# SPDX-License-Identifier: Apache-2.0
"""How fast the stores are: small bounded runs of puts, reads, conditional writes and watches.

    python benchmarks/store.py [--writes 5000] [--etcd HOST:PORT] [--directory DIR]

Without `--etcd` an etcd found in the PATH is started in a temporary directory on a loopback port; without one that row is left out.
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from support.etcd_server import EtcdServer
from zun.base.clock import SystemClock
from zun.store.etcd.store import EtcdStore
from zun.store.interface import Put, Store, unchanged
from zun.store.memory import MemoryStore
from zun.store.options import StoreOptions
from zun.store.sqlite import SqliteStore

IN_FLIGHT = 32
VALUE = b"x" * 1000
COLUMNS = ("store", "put p50", "get p50", "txn p50", "put/s x32", "txn/s x32", "put->watch p50", "range 5k")


async def median_ms(call: Callable[[int], Awaitable[object]], times: int) -> float:
    """The median of `times` calls one after the other, in milliseconds."""
    taken = []
    for number in range(times):
        begin = time.perf_counter()
        await call(number)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1000


async def rate(call: Callable[[int], Awaitable[object]], times: int) -> float:
    """Calls a second with 32 in flight."""
    numbers = iter(range(times))

    async def worker() -> None:
        for number in numbers:
            await call(number)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as workers:
        for _ in range(IN_FLIGHT):
            workers.create_task(worker())
    return times / (time.perf_counter() - begin)


async def put_to_watch_ms(store: Store, times: int) -> float:
    """From the start of a put until a watcher has its event."""
    first = await store.revision() + 1
    async with store.watch("/watched/", from_revision=first) as changes:

        async def put_and_see(number: int) -> None:
            result = await store.transact([], [Put(f"/watched/{number % 10}", VALUE)])
            while (await anext(changes)).revision < result.revision:
                pass

        return await median_ms(put_and_see, times)


async def measure(name: str, store: Store, writes: int) -> tuple[str, ...]:
    """One row of the table."""

    async def put(number: int) -> None:
        await store.transact([], [Put(f"/bench/{number % 5000:05}", VALUE)])

    async def get(number: int) -> None:
        await store.get(f"/bench/{number % 100:05}")

    async def claim(number: int) -> None:
        key = f"/claim/{number:06}"
        await store.transact([unchanged(key, 0)], [Put(key, VALUE[:200]), Put(f"/count/{number % 100}", b"1")])

    async def list_all(_: int) -> None:
        await store.range("/bench/")

    few = max(writes // 10, 50)
    put_ms = await median_ms(put, few)
    put_rate = await rate(put, max(writes, 5000))
    get_ms = await median_ms(get, few)
    claim_rate = await rate(claim, writes)
    claim_ms = await median_ms(lambda number: claim(number + 1_000_000), few)
    watch_ms = await put_to_watch_ms(store, few)
    range_ms = await median_ms(list_all, 5)
    times = (f"{value:.2f} ms" for value in (put_ms, get_ms, claim_ms))
    return (name, *times, f"{put_rate:.0f}", f"{claim_rate:.0f}", f"{watch_ms:.2f} ms", f"{range_ms:.0f} ms")


@asynccontextmanager
async def stores(directory: Path, endpoint: str | None) -> AsyncIterator[dict[str, Store]]:
    """The stores to compare."""
    clock = SystemClock()
    found: dict[str, Store] = {
        "memory": MemoryStore(clock),
        "sqlite": await SqliteStore.open(directory / "b.db", clock),
    }
    try:
        if endpoint:
            found["etcd"] = await EtcdStore.connect(StoreOptions("etcd", (endpoint,)), clock)
        yield found
    finally:
        for store in found.values():
            await store.close()


@contextmanager
def etcd_at(endpoint: str | None, directory: Path) -> Iterator[str | None]:
    """The given etcd, or one of our own for as long as it is needed, or none."""
    if endpoint or shutil.which("etcd") is None:
        yield endpoint
        return
    server = EtcdServer(directory)
    server.start()
    try:
        yield server.endpoint
    finally:
        server.kill()


async def run(options: argparse.Namespace, directory: Path, endpoint: str | None) -> None:
    """Measure all and print the table."""
    async with stores(directory, endpoint) as found:
        rows = [await measure(name, store, options.writes) for name, store in found.items()]
    for row in (COLUMNS, *rows):
        print("  ".join(cell.ljust(len(title) + 2) for cell, title in zip(row, COLUMNS, strict=True)).rstrip())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writes", type=int, default=5000)
    parser.add_argument("--etcd", metavar="HOST:PORT")
    parser.add_argument("--directory", type=Path, help="where the database is put (the disk to measure)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="zun-bench-", dir=options.directory) as name,
        etcd_at(options.etcd, Path(name)) as endpoint,
    ):
        asyncio.run(run(options, Path(name), endpoint))


if __name__ == "__main__":
    main()
