# SPDX-License-Identifier: Apache-2.0
"""Docker's containers plugged in by zun-cni against Docker's own bridge: made and started, and removed. Needs root and the local images.

python -m benchmarks.networks_docker [--times 12]

One engine, one driver, in turns; the daemon works in a network namespace that stands for the host's.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from benchmarks.networks import Host, host
from benchmarks.rows import Part, Row, milliseconds, percentile, rate
from zun.base.clock import SystemClock
from zun.base.ids import new_uuid
from zun.drivers.network.cni.client import DaemonClient
from zun.drivers.network.cni.networks import CniNetworks
from zun.drivers.network.cni.sealing import endpoint_path
from zun.drivers.runtime.docker.options import DockerOptions
from zun.drivers.runtime.docker.runtime import DockerRuntime
from zun.drivers.runtime.types import ContainerRequest
from zun.model.attachments import Attachment, InterfaceAddress, SandboxNetwork, sandbox_key
from zun.model.errors import ZunError

IMAGE = "zun.local/busybox:latest"
AT_ONCE, TOGETHER, CROWDS = 8, 24, 3
_SOCKET = Path("/var/run/docker.sock")


class _Inside(DaemonClient):
    """Asks the daemon from where it listens."""

    def __init__(self, path: Path, made: Host) -> None:
        super().__init__(path)
        self._host = made

    async def _ask(self, path: str, body: bytes) -> bytes:
        work = super()._ask
        return await asyncio.to_thread(lambda: self._host.do(lambda: asyncio.run(work(path, body))))  # type: ignore[return-value]


@dataclass
class _Site:
    """The engine, and the two ways of being on a network."""

    runtime: DockerRuntime
    networks: CniNetworks
    numbers: "count[int]" = field(default_factory=lambda: count(2))

    async def on_bridge(self) -> tuple[str, str]:
        """A container on the engine's own default network that runs: its handle, and no key."""
        return await self._run(new_uuid(), unplugged=False), ""

    async def plugged(self) -> tuple[str, str]:
        """A container that zun-cni plugs in: its handle and key."""
        uuid, number = new_uuid(), next(self.numbers)
        address = InterfaceAddress(f"10.96.{number // 250}.{number % 250 + 2}", 16, "10.96.0.1")
        mac = f"02:00:00:00:{number // 250:02x}:{number % 250:02x}"
        key = sandbox_key(uuid, 1)
        attachment = Attachment(network="bench", ifname="eth0", mac=mac, addresses=(address,))
        await self.networks.prepare(SandboxNetwork(key, (attachment,)))
        return await self._run(uuid, unplugged=True), key

    async def remove(self, made: tuple[str, str]) -> None:
        """It and its network are gone."""
        handle, key = made
        await self.runtime.containers.remove(handle)
        if key:
            await self.networks.release(key)

    async def _run(self, uuid: str, *, unplugged: bool) -> str:
        request = ContainerRequest(
            uuid=uuid, generation=1, project_id="bench", image=IMAGE, command=["sleep", "1000"], unplugged=unplugged
        )
        handle = await self.runtime.containers.create(request)
        await self.runtime.containers.start(handle)
        return handle


async def run(_: Path, times: int = 12) -> Part:
    """All measurements. Without root or an engine there is nothing to measure, and no row."""
    if not _can():
        return Part([], "networks on Docker: not measured, which takes root and a Docker engine")
    with tempfile.TemporaryDirectory(prefix="zun-bench-net-") as directory, host(Path(directory)) as made:
        state = Path(directory) / "state"
        networks = CniNetworks(state, _Inside(endpoint_path(state), made))
        runtime = await DockerRuntime.open(
            DockerOptions(), owner=f"bench-{new_uuid()}", clock=SystemClock(), plugger=networks
        )
        site = _Site(runtime, networks)
        try:
            rows = await _measured(site, times)
        finally:
            for left in await runtime.containers.list():
                await runtime.containers.remove(left.handle)
            await runtime.close()
    conditions = "networks on Docker: in turns; the daemon in a network namespace in place of the host's, asked by a thread that enters it"
    return Part(rows, conditions)


def _can() -> bool:
    return os.geteuid() == 0 and _SOCKET.exists()


async def _measured(site: _Site, times: int) -> list[Row]:
    ways = (site.plugged, site.on_bridge)
    began: dict[str, list[float]] = {way.__name__: [] for way in ways}
    ended: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for turn in range(times + 1):
        for way in ways if turn % 2 else reversed(ways):
            start = time.perf_counter()
            made = await way()
            ran = time.perf_counter()
            await site.remove(made)
            if turn:  # the first of each is to warm up
                began[way.__name__].append(ran - start)
                ended[way.__name__].append(time.perf_counter() - ran)
    crowds: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for turn in range(CROWDS):
        for way in ways if turn % 2 else reversed(ways):
            crowds[way.__name__].append(await _together(site, way))
    together = {name: percentile(found, 0.5) for name, found in crowds.items()}
    ours, bridge = site.plugged.__name__, site.on_bridge.__name__
    rows = [
        _row(f"{what}, median of {times}; baseline: Docker's bridge", took[ours], took[bridge])
        for what, took in (("made and started", began), ("removed", ended))
    ]
    rows.append(
        Row(
            group="networks on Docker",
            measure=f"made and started, {AT_ONCE} at once, median of {CROWDS}; baseline: Docker's bridge",
            ours=rate(together[ours]),
            baseline=rate(together[bridge]),
            ratio=f"{together[ours] / together[bridge]:.2f}",
        )
    )
    return rows


def _row(measure: str, ours: list[float], bridge: list[float]) -> Row:
    mine, theirs = percentile(ours, 0.5), percentile(bridge, 0.5)
    return Row(
        group="networks on Docker",
        measure=measure,
        ours=milliseconds(mine),
        baseline=milliseconds(theirs),
        ratio=f"{mine / theirs:.2f}",
    )


async def _together(site: _Site, way: Callable[[], Awaitable[tuple[str, str]]]) -> float:
    """Containers a second."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> tuple[str, str]:
        async with gate:
            return await way()

    start = time.perf_counter()
    made = await asyncio.gather(*(one() for _ in range(TOGETHER)))
    took = time.perf_counter() - start
    for each in made:
        await site.remove(each)
    return TOGETHER / took


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=12)
    given = parser.parse_args()
    try:
        part = asyncio.run(run(Path(), given.times))
    except ZunError as error:
        raise SystemExit(error.message) from error
    for row in part.rows:
        print(f"{row.measure}: {row.ours}, {row.baseline}, ratio {row.ratio}")


if __name__ == "__main__":
    main()
