# SPDX-License-Identifier: Apache-2.0
"""A CRI engine as a whole."""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple, NoReturn, Self

from zun.base.clock import Clock
from zun.drivers.runtime.base import Plugger
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.archives import Archives
from zun.drivers.runtime.cri.attaching import Attaching
from zun.drivers.runtime.cri.attempts import Attempts
from zun.drivers.runtime.cri.calls import SNAPSHOTTER, ContainerdCalls, ImageCalls, RuntimeCalls, Wire
from zun.drivers.runtime.cri.commands import Commands
from zun.drivers.runtime.cri.containers import CriContainers
from zun.drivers.runtime.cri.events import Events
from zun.drivers.runtime.cri.fingerprint import engine_config
from zun.drivers.runtime.cri.groups import Groups
from zun.drivers.runtime.cri.images import CriImages
from zun.drivers.runtime.cri.logs import Logs
from zun.drivers.runtime.cri.lost_namespaces import LostNamespaces
from zun.drivers.runtime.cri.making import Making
from zun.drivers.runtime.cri.networks import CriNetworks
from zun.drivers.runtime.cri.options import CriOptions
from zun.drivers.runtime.cri.orphans import Orphans
from zun.drivers.runtime.cri.places import Places
from zun.drivers.runtime.cri.plugging import Plugging
from zun.drivers.runtime.cri.pods import CriPods
from zun.drivers.runtime.cri.request import sandbox_namespace
from zun.drivers.runtime.cri.sandboxes import Sandboxes
from zun.drivers.runtime.cri.spare import Spare
from zun.drivers.runtime.cri.starts import Starts
from zun.drivers.runtime.cri.streams import CriStreams
from zun.drivers.runtime.cri.upkeep import Upkeep
from zun.model.errors import Unavailable, Unsupported

_log = logging.getLogger(__name__)

_ENGINE = "containerd"
_TASKS = "io.containerd.runtime.v2.task/k8s.io"


class _Engine(NamedTuple):
    """Where an engine keeps things: the roots of what runs, and network namespaces when that directory is its alone."""

    task_root: Path
    namespaces: Path | None


class CriRuntime:
    """A `Runtime` on a CRI engine; made by `open`."""

    _working: asyncio.Task[NoReturn] | None = None

    def __init__(
        self,
        options: CriOptions,
        wires: list[Wire],
        places: Places,
        *,
        owner: str,
        clock: Clock,
        engine: _Engine,
        plugger: Plugger | None = None,
    ) -> None:
        runtime, containerd = RuntimeCalls(wires[0]), ContainerdCalls(wires[0])
        attempts, starts, sandboxes = Attempts(runtime, containerd, owner), Starts(), Sandboxes(runtime, owner)
        plugging = Plugging(sandboxes, plugger)
        making = Making(runtime, containerd, sandboxes, places, plugging, owner=owner, options=options)
        archives = Archives(
            containerd, attempts, making, places, task_root=engine.task_root, idle_seconds=options.idle_seconds
        )
        logs = Logs(attempts, places, clock)
        self._wires = wires
        self._upkeep = Upkeep(
            runtime,
            attempts=attempts,
            sandboxes=sandboxes,
            places=places,
            orphans=_orphans(runtime, containerd, engine, options, owner),
            lost=LostNamespaces(runtime, engine.namespaces, clock, patience_seconds=2 * options.call_seconds),
            owner=owner,
            clock=clock,
            options=options,
        )
        self._spare = _spare(containerd, wires)
        self._networks = CriNetworks()
        self._images = CriImages(runtime, ImageCalls(wires[-1]), containerd, clock, pull_seconds=options.pull_seconds)
        self._containers = CriContainers(
            runtime,
            containerd,
            attempts=attempts,
            starts=starts,
            sandboxes=sandboxes,
            making=making,
            places=places,
            images=self._images,
            networks=self._networks,
            archives=archives,
            events=Events(containerd, attempts, clock),
            clock=clock,
            options=options,
        )
        self._pods = CriPods(self._containers, attempts, sandboxes, making, plugging)
        self._streams = CriStreams(
            containerd,
            attempts=attempts,
            starts=starts,
            logs=logs,
            commands=Commands(containerd, attempts, places),
            attaching=Attaching(runtime, attempts, logs, starts, clock),
            archives=archives,
            clock=clock,
        )

    @classmethod
    async def open(
        cls, options: CriOptions, *, owner: str, clock: Clock, state_dir: Path, plugger: Plugger | None = None
    ) -> Self:
        """Connect to the engine. `owner` is the id of this node: containers of others are never touched. `state_dir` is ours alone.
        `plugger` knows of those that the engine has the service's plugin plug in; None: there are none such.

        Raises `Unavailable` when no engine answers, with what to do, `Invalid` for an address that is none, and `Unsupported` for an
        engine or a storage that the driver cannot work with.
        """
        async with AsyncExitStack() as stack:
            wires = [Wire(options.endpoint, options.call_seconds)]
            stack.push_async_callback(wires[0].close)
            if options.image_endpoint not in {"", options.endpoint}:
                wires.append(Wire(options.image_endpoint, options.call_seconds))
                stack.push_async_callback(wires[1].close)
            engine = await _check(RuntimeCalls(wires[0]))
            groups = Groups(options.cgroup_parent)
            places = Places(state_dir, groups, log_dir=options.log_dir, volume_dir=options.volume_dir)
            places.prepare()
            runtime = cls(options, wires, places, owner=owner, clock=clock, engine=engine, plugger=plugger)
            await runtime.containers.fingerprint()
            await runtime.begin()
            stack.pop_all()
            return runtime
        raise AssertionError("the stack swallows nothing")

    async def begin(self) -> None:
        """Clear away what an earlier life left half-made, then look after things from time to time until `close`."""
        try:
            await self._spare.keep()
        except Unavailable as error:
            _log.warning("%s", error)
        await self._upkeep.begin()
        self._working = asyncio.create_task(self._upkeep.run(), name="CRI upkeep")

    @property
    def name(self) -> str:
        """Its name."""
        return _ENGINE

    @property
    def containers(self) -> CriContainers:
        """Life of containers."""
        return self._containers

    @property
    def pods(self) -> CriPods:
        """Sandboxes."""
        return self._pods

    @property
    def images(self) -> CriImages:
        """Images."""
        return self._images

    @property
    def networks(self) -> CriNetworks:
        """Networks."""
        return self._networks

    @property
    def streams(self) -> CriStreams:
        """Live things."""
        return self._streams

    async def close(self) -> None:
        """Let go of the engine; containers run on."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        await self._streams.close()
        for wire in self._wires:
            await wire.close()


def _spare(containerd: ContainerdCalls, wires: list[Wire]) -> Spare:
    spare = Spare(containerd)
    for wire in wires:
        wire.mend = spare.spend
    return spare


def _orphans(
    runtime: RuntimeCalls, containerd: ContainerdCalls, engine: _Engine, options: CriOptions, owner: str
) -> Orphans:
    namespace = sandbox_namespace(owner)
    return Orphans(runtime, containerd, task_root=engine.task_root, endpoint=options.endpoint, namespace=namespace)


async def _check(calls: RuntimeCalls) -> _Engine:
    """That this is an engine the driver can work with."""
    version = await calls.version(cri.VersionRequest(), "say what it is")
    if version.runtime_name != _ENGINE:
        raise Unsupported(
            f"The engine is {version.runtime_name}. This driver needs containerd, whose own services it uses beside the CRI."
        )
    config = engine_config(await calls.status(cri.StatusRequest(verbose=True), "say how it is set up"))
    snapshotter = (config.get("containerd") or {}).get("snapshotter", "")
    if snapshotter != SNAPSHOTTER:
        raise Unsupported(f"containerd keeps its files with {snapshotter!r}; set its snapshotter to {SNAPSHOTTER!r}.")
    state = Path(config["stateDir"])
    return _Engine(
        task_root=state.parent / _TASKS,
        namespaces=state / "netns" if config.get("netnsMountsUnderStateDir") else None,
    )
