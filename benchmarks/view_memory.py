# SPDX-License-Identifier: Apache-2.0
"""How much memory the view takes for each container, with its three records and typical fields.

    python benchmarks/view_memory.py [--containers 100000] [--json]

The figure is the growth of the whole process's resident memory while the view fills from a store that makes its pages up as they are
asked for, so that nothing but the view is counted. A second figure is after every status was derived once, as lists do.
"""

import argparse
import asyncio
import gc
import json
import time
import uuid
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from zun.base.clock import SystemClock
from zun.model.container import ContainerSpec, NetRequest
from zun.model.records import Address, Claim, ContainerRecord, ImageSource, Observation, Place, SeenState
from zun.store import codec, keys
from zun.store.interface import KeyValue, RangeResult, WatchBatch
from zun.store.view import View

NODES, PROJECTS = 500, 1000
NAMESPACE = uuid.UUID(int=7)


class MadeUpStore:
    """Answers ranges with records that nobody keeps. Arguments that the view does not vary are not looked at."""

    # ruff: noqa: ARG002

    def __init__(self, containers: int) -> None:
        self._uuids = sorted(str(uuid.uuid5(NAMESPACE, str(n))) for n in range(containers))

    def known_revision(self) -> int:
        return 1_000_000

    async def revision(self) -> int:
        return 1_000_000

    async def range(
        self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0, keys_only: bool = False
    ) -> RangeResult:
        makers = {keys.CONTAINERS: _wish, keys.PLACES: _place, keys.OUT: _seen}
        if prefix not in makers:
            return RangeResult(1_000_000, (), more=False)
        first = bisect_right(self._uuids, start_after.rpartition("/")[2])
        numbers = range(first, min(first + limit, len(self._uuids)))
        items = []
        for n in numbers:
            key, record = makers[prefix](self._uuids[n], n)
            items.append(KeyValue(key, codec.encode(record), 500_000 + n, 500_000 + n, 1))
        return RangeResult(1_000_000, tuple(items), more=numbers.stop < len(self._uuids))

    @asynccontextmanager
    async def watch(self, prefix: str, *, from_revision: int) -> AsyncIterator[AsyncIterator[WatchBatch]]:
        yield _nothing()


async def _nothing() -> AsyncIterator[WatchBatch]:
    await asyncio.Event().wait()
    yield WatchBatch(0, ())


def _wish(uid: str, n: int) -> tuple[str, msgspec.Struct]:
    spec = ContainerSpec(
        image="registry.example/team/shop-frontend:2.14.3",
        name=f"shop-frontend-{n}",
        command=["/usr/bin/shop", "--listen", "0.0.0.0:8080"],
        cpu=0.5,
        memory=256,
        environment={"SHOP_MODE": "production", "SHOP_DB": "db.internal.example:5432", "LANG": "C.UTF-8"},
        labels={"app": "shop", "tier": "frontend"},
        nets=[NetRequest("backend")],
    )
    project = uuid.uuid5(NAMESPACE, f"project {n % PROJECTS}").hex
    user = uuid.uuid5(NAMESPACE, f"user {n % PROJECTS}").hex
    source = ImageSource("registry.example/team/shop-frontend:2.14.3")
    return keys.container(uid), ContainerRecord(
        uid, project, user, spec, 1_700_000_000.25 + n, 1_700_000_000.25 + n, seq=2, image_source=source
    )


def _place(uid: str, n: int) -> tuple[str, msgspec.Struct]:
    why = "node chosen of 500: 480 fit, best free share of cpu 0.62 and memory 0.58"
    return keys.place(uid), Place(uid, f"node-{n % NODES:04}", 1, 1_700_000_001.5 + n, Claim(500, 256), why=why)


def _seen(uid: str, n: int) -> tuple[str, msgspec.Struct]:
    address = Address("backend", f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", 4, "", "", False)
    seen = Observation(
        uid,
        1,
        SeenState.RUNNING,
        intent_done=2,
        runtime_id=uuid.uuid5(NAMESPACE, uid).hex * 2,
        created_at=1_700_000_002.125,
        started_at=1_700_000_002.5,
        addresses=[address],
        ports=[8080],
        image_workdir="/srv",
        at=1_700_000_003.75,
    )
    return keys.observation(f"node-{n % NODES:04}", uid), seen


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def measure(containers: int) -> dict[str, float]:
    """Fill a view and look at the process."""
    store = MadeUpStore(containers)
    gc.collect()
    before = _resident_bytes()
    begin = time.perf_counter()
    view = View(store, SystemClock())  # type: ignore[arg-type] - only what the view asks of a store
    running = asyncio.create_task(view.run())
    await view.ready()
    filled = time.perf_counter() - begin
    gc.collect()
    held = _resident_bytes()
    entry = next(iter(view.containers()))
    stored = len(entry.wish_raw) + len(entry.place_raw) + len(entry.seen_raw)
    begin = time.perf_counter()
    for one in view.containers():
        view.derive(one)
    derived = time.perf_counter() - begin
    gc.collect()
    afterwards = _resident_bytes()
    running.cancel()
    return {
        "containers": containers,
        "stored_bytes_per_container": stored,
        "bytes_per_container": (held - before) / containers,
        "bytes_per_container_with_statuses": (afterwards - before) / containers,
        "seconds_to_fill": filled,
        "seconds_to_derive_all": derived,
    }


def main() -> None:
    """Print the figures, or JSON for the collecting script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = asyncio.run(measure(given.containers))
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):36} {value:12.1f}")


if __name__ == "__main__":
    main()
