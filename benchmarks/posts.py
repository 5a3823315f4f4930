# SPDX-License-Identifier: Apache-2.0
"""How fast creates are accepted and become running containers, end to end, with an engine that costs nothing.

    python -m benchmarks.posts [--creates 2000]

`zund all` with the fake engine on the embedded store; this process is the client. At rest: one create at a time, the next when that one
runs. In a stream: so many a second whatever the answers. As fast as it goes: so many connections that never wait.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop

from benchmarks.following import Following, following
from benchmarks.house import House, house
from benchmarks.rows import Part, Row, milliseconds, percentile, rate

BODY = {"image": "busybox", "command": ["sleep", "1000"], "memory": 64, "environment": {"MODE": "bench"}}
ACCEPT_TARGET_SECONDS = 0.020
TRANSACTIONS_TARGET = 4
STREAM_PER_SECOND = 50
AT_ONCE = 16


@dataclass
class Run:
    """What one way of asking gave, in seconds."""

    accepted: list[float] = field(default_factory=list)
    running: list[float] = field(default_factory=list)
    all_accepted: float = 0.0
    all_running: float = 0.0
    transactions: float = 0.0

    def accepted_row(self, how: str, target: float | None = None) -> Row:
        """The latency of the answer."""
        middle, late = percentile(self.accepted, 0.5), percentile(self.accepted, 0.99)
        return Row(
            group="creates, fake engine",
            measure=f"POST accepted {how}, p50 / p99",
            ours=f"{milliseconds(middle)} / {milliseconds(late)}",
            target=f"p99 ≤ {target * 1000:.0f} ms" if target else "",
            met=late <= target if target else None,
        )


class Client:
    """Creates, and who waits until they run."""

    def __init__(self, session: aiohttp.ClientSession, told: Following) -> None:
        self._session = session
        self._told = told

    async def create(self, run: Run, *, wait: bool = False) -> str:
        """One create, counted; perhaps until it runs."""
        begin = time.perf_counter()
        async with self._session.post("/v1/containers?run=true", json=BODY) as response:
            told = await response.json()
        run.accepted.append(time.perf_counter() - begin)
        if response.status != 202:
            raise SystemExit(f"create was refused: {told}")
        uuid: str = told["uuid"]
        if wait:
            run.running.append(await self._told.until(uuid, "Running") - begin)
        return uuid

    async def at_rest(self, creates: int) -> Run:
        """One after the other."""
        run, before = Run(), await self._revision()
        for _ in range(creates):
            await self.create(run, wait=True)
        run.transactions = (await self._revision() - before) / creates
        return run

    async def stream(self, creates: int, per_second: float) -> Run:
        """Evenly, without regard to the answers."""
        run, begin = Run(), time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(creates):
                await asyncio.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
                tasks.create_task(self.create(run, wait=True))
        return run

    async def flood(self, creates: int, at_once: int) -> Run:
        """As fast as it goes."""
        run, before, begin = Run(), await self._revision(), time.perf_counter()
        numbers = iter(range(creates))
        made: list[str] = []

        async def connection() -> None:
            for _ in numbers:
                made.append(await self.create(run))  # noqa: PERF401

        await asyncio.gather(*(connection() for _ in range(at_once)))
        run.all_accepted = time.perf_counter() - begin
        run.all_running = max([await self._told.until(uuid, "Running") for uuid in made]) - begin
        run.transactions = (await self._revision() - before) / creates
        return run

    async def _revision(self) -> int:
        """The store's: each transaction is one more."""
        async with self._session.get("/v1/watch") as response:
            async for line in response.content:
                if line.startswith(b"id: "):
                    response.close()
                    return int(line[4:])
        raise SystemExit("the watch said nothing")


def rows(creates: int, rest: Run, stream: Run, flood: Run) -> list[Row]:
    """As the table shows them."""
    group = "creates, fake engine"
    middle, late = percentile(rest.running, 0.5), percentile(rest.running, 0.99)
    return [
        rest.accepted_row("at rest", ACCEPT_TARGET_SECONDS),
        stream.accepted_row(f"at {STREAM_PER_SECOND} a second", ACCEPT_TARGET_SECONDS),
        flood.accepted_row(f"as fast as it goes, {AT_ONCE} connections"),
        Row(
            group=group,
            measure="POST to Running seen by a watcher, at rest, p50 / p99",
            ours=f"{milliseconds(middle)} / {milliseconds(late)}",
        ),
        Row(group=group, measure=f"accepted, {creates} creates", ours=rate(creates / flood.all_accepted)),
        Row(group=group, measure=f"accepted and running, {creates} creates", ours=rate(creates / flood.all_running)),
        Row(
            group=group,
            measure="store transactions a create, POST to Running, at rest",
            ours=f"{rest.transactions:.2f}",
            target=f"≤ {TRANSACTIONS_TARGET}",
            met=rest.transactions <= TRANSACTIONS_TARGET + 0.05,  # heartbeats of the node and of the leader are in it
        ),
        Row(group=group, measure="the same as fast as it goes", ours=f"{flood.transactions:.2f}"),
    ]


async def measure(where: House, creates: int) -> list[Row]:
    """All three ways."""
    async with where.session() as session, following(session) as told:
        client = Client(session, told)
        await client.at_rest(20)
        rest = await client.at_rest(200)
        stream = await client.stream(8 * STREAM_PER_SECOND, STREAM_PER_SECOND)
        flood = await client.flood(creates, AT_ONCE)
    return rows(creates, rest, stream, flood)


async def run(bytecode: Path, creates: int = 2000) -> Part:
    """A service of its own, measured."""
    async with house(bytecode, runtime="fake") as where:
        made = await measure(where, creates)
    return Part(
        made,
        "creates: `zund all` with the fake engine, sqlite on disk, authenticated, every create validated, counted against quota and durable "
        "before its answer; one client process over loopback on the other core, which also watches. A transaction is a revision of the store",
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--creates", type=int, default=2000)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="zun-bench-pyc-") as bytecode,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        part = runner.run(run(Path(bytecode), given.creates))
    for row in part.rows:
        print(f"{row.measure:58} {row.ours:>20}  {row.target:12} {row.verdict}")


if __name__ == "__main__":
    main()
