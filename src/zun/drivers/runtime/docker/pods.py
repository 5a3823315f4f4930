# SPDX-License-Identifier: Apache-2.0
"""Sandboxes on a Docker engine: the `Pods` part of the port.

A sandbox is a container that does nothing; it holds the network and the memory shared between processes (IPC), which others join. It is
labelled as such, so that it is never taken for somebody's container.
"""

import asyncio
from typing import Any

import msgspec

from zun.base.side_by_side import side_by_side
from zun.drivers.runtime import labels
from zun.drivers.runtime.docker import request as wording
from zun.drivers.runtime.docker import seen
from zun.drivers.runtime.docker.containers import DockerContainers
from zun.drivers.runtime.docker.engine import Engine
from zun.drivers.runtime.docker.holding import Holders
from zun.drivers.runtime.docker.networks import DockerNetworks
from zun.drivers.runtime.types import SandboxRequest, SandboxSeen
from zun.model.errors import Conflict, NotFound, Unavailable, ZunError

_REMOVALS_AT_ONCE = 8


class DockerPods:
    """Implements `Pods` on a Docker engine, for one owner."""

    def __init__(
        self, engine: Engine, owner: str, containers: DockerContainers, networks: DockerNetworks, *, holders: Holders
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._containers = containers
        self._networks = networks
        self._holders = holders

    async def create_sandbox(self, request: SandboxRequest) -> str:
        """Make and start it, with all its networks."""
        for network in request.networks:
            await self._networks.check(network)
        name = wording.sandbox_name(request.uuid, request.generation)
        body = wording.sandbox_body(request, owner=self._owner, options=self._engine.options)
        try:
            made = await self._engine.call(
                "POST", "containers/create", "create the sandbox", params={"name": name}, body=body
            )
        except Conflict:
            return await self._adopt(request, name)
        except NotFound as error:
            image = self._engine.options.sandbox_image
            raise NotFound(f"The engine lacks the sandbox image {image}; run scripts/build-image there.") from error
        return await self._start(made["Id"], request, present=())

    async def inspect_sandbox(self, handle: str) -> SandboxSeen:
        """One sandbox now."""
        return seen.sandbox(await self._inspect(handle))

    async def list_sandboxes(self, capsule: str = "") -> list[SandboxSeen]:
        """This owner's, or those of one capsule. The engine's list says all that is needed."""
        chosen = (f"{labels.CAPSULE}={capsule}",) if capsule else ()
        told = await self._list({"label": (f"{labels.OWNER}={self._owner}", labels.SANDBOX, *chosen)})
        return [seen.listed_sandbox(one) for one in told if labels.is_sandbox(one.get("Labels"))]

    async def remove_sandbox(self, handle: str) -> None:
        """Remove it after all that is in it."""
        try:
            found = seen.sandbox(await self._inspect(handle))
        except NotFound:
            return
        ours = (
            f"{labels.OWNER}={self._owner}",
            f"{labels.CAPSULE}={found.uuid}",
            f"{labels.GENERATION}={found.generation}",
        )
        members = [one["Id"] for one in await self._list({"label": ours}) if one["Id"] != handle]
        await side_by_side(members, self._containers.remove, at_once=_REMOVALS_AT_ONCE)
        await self._containers.remove(handle)

    async def _start(self, handle: str, request: SandboxRequest, present: tuple[str, ...]) -> str:
        """Half of its networks is not what was asked for, and one that does not start is of no use."""
        try:
            for network in request.networks[1:]:
                if network.network not in present:
                    await self._networks.attach(handle, network)
            await self._engine.call("POST", f"containers/{handle}/start", "start the sandbox")
            await self._plug(handle, request)
        except (Unavailable, asyncio.CancelledError):
            raise
        except ZunError:
            await self._containers.remove(handle)
            raise
        return handle

    async def _adopt(self, request: SandboxRequest, name: str) -> str:
        """The name is taken: by this very sandbox, made by a call whose answer was lost, or by something else."""
        try:
            told = await self._engine.call("GET", f"containers/{name}/json", "show the sandbox")
        except NotFound as error:
            raise Unavailable(f"The engine is just making or removing {name}; try again in a moment.") from error
        if seen.sandbox_identity(told["Config"].get("Labels")) != (self._owner, request.uuid, request.generation):
            raise Conflict(f"The engine has another container of the name {name}; remove or rename that one.")
        handle: str = told["Id"]
        state = told["State"]["Status"]
        if state == "created":
            return await self._start(handle, request, tuple(told["NetworkSettings"].get("Networks") or {}))
        if state != "running":
            raise Conflict(f"The sandbox {name} has ended; remove it and make another.")
        await self._plug(handle, request)
        return handle

    async def _plug(self, handle: str, request: SandboxRequest) -> None:
        if request.unplugged:
            await self._holders.plug_sandbox(handle)

    async def _inspect(self, handle: str) -> dict[str, Any]:
        told: dict[str, Any] = await self._engine.call("GET", f"containers/{handle}/json", "show the sandbox")
        known = seen.sandbox_identity(told["Config"].get("Labels"))
        if known is None or known[0] != self._owner:
            raise NotFound(f"{handle[:12]} is no sandbox of this node; list them.")
        return told

    async def _list(self, filters: dict[str, tuple[str, ...]]) -> list[dict[str, Any]]:
        params = {"all": "1", "filters": msgspec.json.encode(filters).decode()}
        found: list[dict[str, Any]] = await self._engine.call(
            "GET", "containers/json", "list the sandboxes", params=params
        )
        return found
