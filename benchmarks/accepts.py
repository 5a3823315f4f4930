# SPDX-License-Identifier: Apache-2.0
"""Accepted creates a second through the container service on the embedded store, and transactions in a container's first life.

    python benchmarks/accepts.py [--creates 4000] [--json]

No HTTP, no leader, no node: validation, policy, quota, one durable transaction (shared by creates that come together), and the wait until
the view shows it. `txn each` counts the store's transactions per create.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from zun.base.clock import SystemClock
from zun.base.ids import new_request_id
from zun.base.sealing import MasterKey
from zun.model.caller import Caller, RequestContext
from zun.model.container import ContainerSpec
from zun.model.records import Limits
from zun.policy.enforcer import Policy
from zun.services.containers import ContainerService
from zun.services.options import ContainerOptions
from zun.store.interface import Store
from zun.store.sqlite import SqliteStore
from zun.store.view import View

UNLIMITED = Limits(containers=-1, cpu=-1, memory=-1, disk=-1)
GIVEN = frozenset({"image", "memory", "environment"})


class Measured(msgspec.Struct):
    """One run. Times in milliseconds."""

    what: str
    creates: int
    per_second: float
    p50: float
    p99: float
    transactions_per_create: float


@asynccontextmanager
async def service(directory: Path) -> AsyncIterator[tuple[Store, ContainerService]]:
    """The service on a store of its own."""
    clock = SystemClock()
    store = await SqliteStore.open(directory / "store.sqlite", clock)
    view = View(store, clock)
    containers = ContainerService(
        store,
        view,
        Policy(),
        clock,
        master_key=MasterKey(bytes(32)),
        options=ContainerOptions(),
        default_limits=UNLIMITED,
        rng=random.Random(1),
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(view.run()), tasks.create_task(containers.run())]
            await view.ready()
            yield store, containers
            for task in running:
                task.cancel()
    finally:
        await store.close()


async def create(containers: ContainerService, project: str) -> float:
    """One create; returns its milliseconds."""
    ctx = RequestContext(Caller("user", project, frozenset({"member"})), new_request_id())
    spec = ContainerSpec(image="busybox", memory=64, environment={"MODE": "bench"})
    begin = time.perf_counter()
    await containers.create(ctx, spec, {}, run=True, given=GIVEN)
    return 1000 * (time.perf_counter() - begin)


async def measure(what: str, creates: int, at_once: int, projects: int) -> Measured:
    """Keep `at_once` creates in flight until all are accepted."""
    with tempfile.TemporaryDirectory(prefix="zun-bench-") as directory:
        async with service(Path(directory)) as (store, containers):
            await asyncio.gather(*(create(containers, f"project-{n % projects}") for n in range(at_once)))
            before = await store.revision()
            left = iter(range(creates))
            times: list[float] = []

            async def client() -> None:
                for n in left:
                    times.append(await create(containers, f"project-{n % projects}"))  # noqa: PERF401

            begin = time.perf_counter()
            await asyncio.gather(*(client() for _ in range(at_once)))
            seconds = time.perf_counter() - begin
            transactions = await store.revision() - before
    times.sort()
    return Measured(
        what=what,
        creates=creates,
        per_second=creates / seconds,
        p50=times[creates // 2],
        p99=times[creates * 99 // 100],
        transactions_per_create=transactions / creates,
    )


async def run(creates: int) -> list[Measured]:
    """From one at a time to a crowd."""
    runs: list[Callable[[], Awaitable[Measured]]] = [
        lambda: measure("1 at a time", creates // 4, 1, 1),
        lambda: measure("8 at once, one project", creates, 8, 1),
        lambda: measure("64 at once, one project", creates, 64, 1),
        lambda: measure("64 at once, 16 projects", creates, 64, 16),
    ]
    return [await one() for one in runs]


def main() -> None:
    """Print a table, or JSON for the collecting script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--creates", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    results = asyncio.run(run(given.creates))
    if given.json:
        print(json.dumps(msgspec.to_builtins(results)))
        return
    print(f"{'':28} {'creates':>8} {'per second':>10} {'p50 ms':>8} {'p99 ms':>8} {'txn each':>8}")
    for row in results:
        figures = f"{row.per_second:10.0f} {row.p50:8.2f} {row.p99:8.2f} {row.transactions_per_create:8.2f}"
        print(f"{row.what:28} {row.creates:8} {figures}")


if __name__ == "__main__":
    main()
