# SPDX-License-Identifier: Apache-2.0
"""A Docker engine as a whole."""

from typing import Self

from zun.base.clock import Clock
from zun.drivers.runtime.base import Plugger
from zun.drivers.runtime.docker.address import resolve
from zun.drivers.runtime.docker.containers import DockerContainers
from zun.drivers.runtime.docker.engine import Engine
from zun.drivers.runtime.docker.holding import Holders
from zun.drivers.runtime.docker.images import DockerImages
from zun.drivers.runtime.docker.networks import DockerNetworks
from zun.drivers.runtime.docker.options import DockerOptions
from zun.drivers.runtime.docker.pods import DockerPods
from zun.drivers.runtime.docker.streams import DockerStreams
from zun.drivers.runtime.docker.terminals import Terminals
from zun.model.errors import ZunError


class DockerRuntime:
    """A `Runtime` on a Docker engine; made by `open`."""

    def __init__(self, engine: Engine, owner: str, clock: Clock, plugger: Plugger | None = None) -> None:
        terminals = Terminals(engine)
        self._engine = engine
        self._networks = DockerNetworks(engine)
        holders = Holders(engine, owner, plugger)
        self._containers = DockerContainers(engine, owner, clock, self._networks, terminals, holders=holders)
        self._pods = DockerPods(engine, owner, self._containers, self._networks, holders=holders)
        self._images = DockerImages(engine)
        self._streams = DockerStreams(engine, clock, terminals)

    @classmethod
    async def open(cls, options: DockerOptions, *, owner: str, clock: Clock, plugger: Plugger | None = None) -> Self:
        """Connect to the engine. `owner` is the id of this node or installation: containers of others are never touched.
        `plugger` plugs in the containers that are made without a network of the engine's; None: there are none such.

        Raises `Unavailable` when no engine answers, with what to do, and `Invalid` for an address that is none.
        """
        engine = Engine(resolve(options), options)
        try:
            await engine.connect()
        except ZunError:
            await engine.close()
            raise
        return cls(engine, owner, clock, plugger)

    @property
    def name(self) -> str:
        """Its name."""
        return "docker"

    @property
    def containers(self) -> DockerContainers:
        """Life of containers."""
        return self._containers

    @property
    def pods(self) -> DockerPods:
        """Sandboxes."""
        return self._pods

    @property
    def images(self) -> DockerImages:
        """Images."""
        return self._images

    @property
    def networks(self) -> DockerNetworks:
        """Networks."""
        return self._networks

    @property
    def streams(self) -> DockerStreams:
        """Live things."""
        return self._streams

    async def close(self) -> None:
        """Let go of the engine; containers run on."""
        await self._engine.close()
