# SPDX-License-Identifier: Apache-2.0
"""How much we add to the time in which an engine makes a container and has it running.

    python -m benchmarks.create [--rounds 5]

The same request goes through the API (POST, then the watch says Running) and straight to the same engine with aiodocker (create, start,
inspect says running), in turns, one and eight at a time; everything made is removed before the next turn.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiodocker
import aiohttp

from benchmarks.alone import run_alone
from benchmarks.following import GONE, Following, following
from benchmarks.house import House, house
from benchmarks.rows import Part, Row, milliseconds, percentile
from zun.base.ids import new_uuid
from zun.drivers.runtime.docker.options import DockerOptions
from zun.drivers.runtime.docker.request import create_body, name
from zun.drivers.runtime.types import ContainerRequest

IMAGE = "zun.local/busybox:latest"
COMMAND = ["sleep", "1000"]
MEMORY_MIB, CPU = 64, 0.5
LABELS = {"tier": "bench"}
OWNER = "zun-bench-direct"
TARGET = 1.10

Turn = Callable[[int], Awaitable[list[float]]]


class Ours:
    """Through the API."""

    def __init__(self, session: aiohttp.ClientSession, told: Following) -> None:
        self._session = session
        self._told = told
        self.timings: list[dict[str, float]] = []

    async def turn(self, at_once: int) -> list[float]:
        """Make so many together, wait for all, remove them; seconds of each."""
        made = await asyncio.gather(*(self._make() for _ in range(at_once)))
        for uuid, _ in made:
            self.timings.append(await self._steps(uuid))
        await asyncio.gather(*(self._remove(uuid) for uuid, _ in made))
        return [seconds for _, seconds in made]

    async def _make(self) -> tuple[str, float]:
        body = {"image": IMAGE, "command": COMMAND, "memory": MEMORY_MIB, "cpu": CPU, "labels": LABELS}
        begin = time.perf_counter()
        async with self._session.post("/v1/containers?run=true", json=body) as response:
            told = await response.json()
        if response.status != 202:
            raise SystemExit(f"create was refused: {told}")
        return told["uuid"], await self._told.until(told["uuid"], "Running") - begin

    async def _steps(self, uuid: str) -> dict[str, float]:
        async with self._session.get(f"/v1/containers/{uuid}/container_actions") as response:
            actions = (await response.json())["containerActions"]
        async with self._session.get(
            f"/v1/containers/{uuid}/container_actions/{actions[-1]['request_id']}"
        ) as response:
            action = await response.json()
        return dict(action.get("timings") or {})

    async def _remove(self, uuid: str) -> None:
        async with self._session.delete(f"/v1/containers/{uuid}?force=true") as response:
            response.raise_for_status()
        await self._told.until(uuid, GONE)
        self._told.forget(uuid)


class Direct:
    """Straight to the engine, with the very body that our driver would send."""

    def __init__(self, docker: aiodocker.Docker) -> None:
        self._docker = docker

    async def turn(self, at_once: int) -> list[float]:
        """As `Ours.turn`."""
        made = await asyncio.gather(*(self._make() for _ in range(at_once)))
        await asyncio.gather(*(container.delete(force=True, v=True) for container, _ in made))
        return [seconds for _, seconds in made]

    async def _make(self) -> tuple[Any, float]:
        uuid = new_uuid()
        request = ContainerRequest(
            uuid=uuid,
            generation=1,
            project_id="bench",
            image=IMAGE,
            command=COMMAND,
            memory_mib=MEMORY_MIB,
            cpu=CPU,
            labels=LABELS,
        )
        body = create_body(request, owner=OWNER, options=DockerOptions())
        begin = time.perf_counter()
        container = await self._docker.containers.create(body, name=name(uuid, 1))
        await container.start()
        while not (await container.show())["State"]["Running"]:
            pass  # the question itself is the pause
        return container, time.perf_counter() - begin


async def clean(docker: aiodocker.Docker, owners: list[str]) -> None:
    """Remove what an earlier, broken off run left."""
    for owner in owners:
        filters = {"label": [f"io.zun.owner={owner}"]}
        for container in await docker.containers.list(all=True, filters=filters):
            await container.delete(force=True, v=True)


async def measure(where: House, rounds: int) -> tuple[list[Row], list[dict[str, float]]]:
    """One and eight at a time."""
    async with aiodocker.Docker() as docker, where.session() as session, following(session) as told:
        ours, direct = Ours(session, told), Direct(docker)
        rows = []
        try:
            for at_once, turns in ((1, 6 * rounds), (8, rounds)):
                rows += compared(
                    "create to Running, Docker", at_once, await in_turns(ours, direct.turn, at_once, turns)
                )
        finally:
            await clean(docker, [OWNER, where.owner])
        return rows, ours.timings


async def in_turns(ours: Ours, direct: Turn, at_once: int, turns: int) -> dict[str, list[float]]:
    """Seconds of each, both in turns; the first turn of each is not counted."""
    await direct(1)
    await ours.turn(1)
    ours.timings.clear()
    times: dict[str, list[float]] = {"ours": [], "direct": []}
    for number in range(turns):
        pair: list[tuple[str, Turn]] = [("direct", direct), ("ours", ours.turn)]
        for what, turn in pair if number % 2 else reversed(pair):
            times[what] += await turn(at_once)
    return times


def compared(group: str, at_once: int, times: dict[str, list[float]]) -> list[Row]:
    """What was added to the direct way."""
    rows: list[Row] = []
    for share, target in ((0.5, TARGET), (0.9, None)):
        ours, direct = percentile(times["ours"], share), percentile(times["direct"], share)
        rows.append(
            Row(
                group=group,
                measure=f"{at_once} at a time, p{share * 100:.0f}, {len(times['ours'])} each",
                ours=milliseconds(ours),
                baseline=milliseconds(direct),
                ratio=f"{ours / direct:.2f}",
                target=f"≤ {target:.2f}" if target else "",
                met=ours / direct <= target if target else None,
            )
        )
    turns = zip(_medians(times["ours"], at_once), _medians(times["direct"], at_once), strict=True)
    pairs = [(ours / direct, ours - direct) for ours, direct in turns]
    rows.append(
        Row(
            group=group,
            measure=f"{at_once} at a time, added between neighbouring turns, median of {len(pairs)}",
            ours=f"{percentile([added for _, added in pairs], 0.5) * 1000:+.1f} ms",
            ratio=f"{percentile([ratio for ratio, _ in pairs], 0.5):.2f}",
        )
    )
    return rows


def _medians(times: list[float], at_once: int) -> list[float]:
    """Of each turn."""
    return [percentile(times[start : start + at_once], 0.5) for start in range(0, len(times), at_once)]


def median_steps(timings: list[dict[str, float]]) -> str:
    """Where the time of ours went, as the action history tells it."""
    names = list(dict.fromkeys(step for one in timings for step in one))
    medians = {step: percentile([one[step] for one in timings if step in one], 0.5) for step in names}
    return ", ".join(f"{step} {value:.1f} ms" for step, value in medians.items())


async def run(bytecode: Path, rounds: int = 5) -> Part:
    """A service of its own, measured."""
    async with house(bytecode, runtime="docker") as where:
        rows, timings = await measure(where, rounds)
    conditions = (
        f"create to Running: image {IMAGE}, `sleep`, {MEMORY_MIB} MiB, {CPU} CPU, a label, the default network; both ways in turns, with the "
        "same body to the same engine, from the call to the moment its client knows that it runs; removed before the next turn. Steps of "
        f"the last runs, 8 at a time, by the action history (medians): {median_steps(timings)}"
    )
    return Part(rows, conditions)


if __name__ == "__main__":
    run_alone(run, __doc__, rounds=5, means="turns of eight; six times as many of one")
