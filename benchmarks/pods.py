# SPDX-License-Identifier: Apache-2.0
"""How much we add to the time in which containerd makes a pod and has its container running.

    python -m benchmarks.pods [--rounds 3]

As in `benchmarks.create`, on a containerd of the measurement's own: the same request goes through the API, and straight to the same engine
over the same CRI (RunPodSandbox, CreateContainer, StartContainer, ContainerStatus says running), with the same network.
"""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.alone import run_alone
from benchmarks.create import CPU, IMAGE, LABELS, MEMORY_MIB, Ours, compared, in_turns, median_steps
from benchmarks.following import following
from benchmarks.house import CONFIG, House, house
from benchmarks.rows import Part, Row, percentile, rate
from zun.base.ids import new_uuid
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import request as wording
from zun.drivers.runtime.cri.calls import ImageCalls, RuntimeCalls, Wire
from zun.drivers.runtime.cri.groups import Groups
from zun.drivers.runtime.cri.options import CriOptions
from zun.drivers.runtime.cri.places import Record
from zun.drivers.runtime.types import ContainerRequest

GROUP = "create to Running, containerd"
OWNER = "zun-bench-direct"
TARGET = 0.90
SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
SCRIPT_SECONDS = 120.0


@dataclass(frozen=True)
class Engine:
    """A containerd of the measurement's own; all that is its own lies in `directory`."""

    directory: Path
    name: str
    subnet: str

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"unix://{self.directory}/state/containerd.sock"

    async def script(self, name: str, *words: str) -> None:
        """Run one of our scripts for it."""
        environment = os.environ | {
            "ZUN_CONTAINERD_ROOT": f"{self.directory}/root",
            "ZUN_CONTAINERD_STATE": f"{self.directory}/state",
            "ZUN_CONTAINERD_BRIDGE": self.name,
            "ZUN_CONTAINERD_SUBNET": self.subnet,
        }
        process = await asyncio.create_subprocess_exec(
            SCRIPTS / name, *words, env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(SCRIPT_SECONDS):
            if await process.wait():
                raise SystemExit(f"scripts/{name} failed; it said why")


@asynccontextmanager
async def engine() -> AsyncIterator[Engine]:
    """Run one; afterwards it is gone with its pods, its network and its directory."""
    directory = Path(tempfile.mkdtemp(prefix="zun-bench-cri-"))
    made = Engine(
        directory, f"zb{random.randrange(16**8):08x}", f"10.{random.randint(128, 254)}.{random.randint(0, 254)}.0/24"
    )
    try:
        await made.script("ensure-containerd")
        await made.script("build-image", "--containerd", made.endpoint.removeprefix("unix://"))
        try:
            yield made
        finally:
            await _remove_pods(made)
    finally:
        await made.script("stop-containerd", "--network")
        Groups("/").remove(made.name)
        await asyncio.to_thread(shutil.rmtree, directory)


async def _remove_pods(where: Engine) -> None:
    wire = Wire(where.endpoint, SCRIPT_SECONDS)
    try:
        direct = Direct(wire, where, "")
        for sandbox in (await direct.calls.list_sandboxes(cri.ListPodSandboxRequest(), "list the sandboxes")).items:
            await direct.remove(sandbox.id)
    finally:
        await wire.close()


class Direct:
    """Straight to the engine, with what our driver would send."""

    def __init__(self, wire: Wire, where: Engine, image_id: str) -> None:
        self.calls = RuntimeCalls(wire)
        self._where = where
        self._image_id = image_id
        self._options = CriOptions()

    async def turn(self, at_once: int) -> list[float]:
        """As `Ours.turn`."""
        made = await asyncio.gather(*(self._make() for _ in range(at_once)))
        await asyncio.gather(*(self.remove(sandbox_id) for sandbox_id, _ in made))
        return [seconds for _, seconds in made]

    async def remove(self, sandbox_id: str) -> None:
        """A pod with its container."""
        await self.calls.stop_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id), "stop the sandbox")
        await self.calls.remove_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id), "remove the sandbox")

    async def _make(self) -> tuple[str, float]:
        request = ContainerRequest(
            uuid=new_uuid(),
            generation=1,
            project_id="bench",
            image=IMAGE,
            command=["sleep", "1000"],
            memory_mib=MEMORY_MIB,
            cpu=CPU,
            labels=LABELS,
        )
        sandbox = wording.sandbox(
            request,
            owner=OWNER,
            attempt=0,
            log_directory=self._where.directory / "logs",
            dns=[],
            group=f"/{self._where.name}",
        )
        record = Record(request=request, image_id=self._image_id)
        container = wording.container(record, owner=OWNER, attempt=0, ran=False, mounts=[], options=self._options)
        container.log_path = request.uuid
        loop = asyncio.get_running_loop()
        begin = loop.time()
        made = await self.calls.run_sandbox(cri.RunPodSandboxRequest(config=sandbox), "make the sandbox")
        wanted = cri.CreateContainerRequest(
            pod_sandbox_id=made.pod_sandbox_id, config=container, sandbox_config=sandbox
        )
        container_id = (await self.calls.create(wanted, "create the container")).container_id
        await self.calls.start(cri.StartContainerRequest(container_id=container_id), "start the container")
        asked = cri.ContainerStatusRequest(container_id=container_id)
        while (await self.calls.container_status(asked, "show the container")).status.state != cri.CONTAINER_RUNNING:
            pass  # the question itself is the pause
        return made.pod_sandbox_id, loop.time() - begin


async def measure(where: House, at: Engine, rounds: int) -> tuple[list[Row], list[dict[str, float]]]:
    """One, eight and sixteen at a time."""
    wire = Wire(at.endpoint, SCRIPT_SECONDS)
    try:
        asked = cri.ImageStatusRequest(image=cri.ImageSpec(image=IMAGE))
        image = (await ImageCalls(wire).status(asked, "find the image")).image
        direct = Direct(wire, at, image.id)
        async with where.session() as session, following(session) as told:
            ours = Ours(session, told)
            rows = []
            for at_once, turns in ((1, 6 * rounds), (8, rounds), (16, rounds)):
                times = await in_turns(ours, direct.turn, at_once, turns)
                rows += [*compared(GROUP, at_once, times), _rates(at_once, times)]
            return rows, ours.timings
    finally:
        await wire.close()


def _rates(at_once: int, times: dict[str, list[float]]) -> Row:
    """How many a second, from the beginning of a turn to the last one that runs."""
    ours, direct = (
        at_once / percentile([max(times[way][start : start + at_once]) for start in range(0, len(times[way]), at_once)], 0.5)
        for way in ("ours", "direct")
    )  # fmt: skip
    return Row(
        group=GROUP,
        measure=f"{at_once} at a time, pods a second, median turn",
        ours=rate(ours),
        baseline=rate(direct),
        ratio=f"{ours / direct:.2f}",
        target=f"≥ {TARGET:.2f}",
        met=ours / direct >= TARGET,
    )


async def run(bytecode: Path, rounds: int = 3) -> Part:
    """An engine and a service of its own, measured."""
    async with engine() as at:
        config = f"{CONFIG}[cri]\nendpoint = {at.endpoint}\ncgroup_parent = /{at.name}\n"
        async with house(bytecode, runtime="cri", config=config) as where:
            rows, timings = await measure(where, at, rounds)
    conditions = (
        f"{GROUP}: image {IMAGE}, `sleep`, {MEMORY_MIB} MiB, {CPU} CPU, runc, CNI's bridge; both ways in turns, over the same CRI to the same "
        "engine, from the call to the moment its client knows that it runs; removed before the next turn. Steps of the last runs, 16 at a "
        f"time, by the action history (medians): {median_steps(timings)}"
    )
    return Part(rows, conditions)


if __name__ == "__main__":
    run_alone(run, __doc__, rounds=3, means="turns of eight and of sixteen; six times as many of one")
