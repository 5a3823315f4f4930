# SPDX-License-Identifier: Apache-2.0
"""Holders: the network of a container that somebody else plugs in, ready before its first process starts.

A holder is a container of ours that does nothing. It gets a network namespace without any interface, is plugged in there, and then the
container is started, joined to it. It stays as long as the container does, so that a restart finds the network as it was. Why it is
done so is told in docs/decisions/0058-a-holder-has-the-network-on-docker.md.
"""

import logging
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from zun.drivers.runtime import labels
from zun.drivers.runtime.base import Plugger
from zun.drivers.runtime.docker import request as wording
from zun.drivers.runtime.docker import seen
from zun.drivers.runtime.docker.engine import Engine
from zun.drivers.runtime.types import ContainerRequest
from zun.model.attachments import sandbox_key
from zun.model.errors import Conflict, NotFound, Unavailable, ZunError

_log = logging.getLogger(__name__)
_RUNNING = "running"
_NOTHING: Mapping[str, Any] = {}


class Holders:
    """The holders of one owner's containers, and the sandboxes of its capsules, which hold the network of several.

    `plugger` None: nothing can be plugged in, and nothing that is to be is started.
    """

    def __init__(self, engine: Engine, owner: str, plugger: Plugger | None) -> None:
        self._engine = engine
        self._owner = owner
        self._plugger = plugger

    async def ready(self, told: dict[str, Any]) -> None:
        """What an inspected container joins is there and plugged in; a container with a network of its own needs nothing.

        Raises `Unavailable`, `Conflict` for one whose capsule's sandbox has ended, and what the plugger raises.
        """
        name = wording.joined(told)
        known = seen.identity(told)
        if not name or known is None:
            await self._ready_sandbox(wording.joined_sandbox(told))
            return
        plugger = self._who_plugs()
        holder = await self._running(name, told)
        _, uuid, generation = known
        await plugger.plug(sandbox_key(uuid, generation), holder["Id"], _namespace(holder))

    async def plug_sandbox(self, handle: str) -> None:
        """A capsule's sandbox that runs, and whose network is not the engine's, is plugged in; again changes nothing.

        Raises `NotFound`, `Unavailable`, `Conflict` for one that has ended, and what the plugger raises.
        """
        told = await self._engine.call("GET", f"containers/{handle}/json", "show the sandbox")
        known = seen.sandbox_identity(told["Config"].get("Labels"))
        if known is None or not wording.is_unplugged(told):
            return
        plugger = self._who_plugs()
        if not told["State"]["Pid"]:
            raise Conflict("The sandbox has ended; remove it and make another.")
        _, uuid, generation = known
        await plugger.plug(sandbox_key(uuid, generation), told["Id"], _namespace(told))

    def concerns(self, request: ContainerRequest) -> bool:
        """Whether there is anything to see to before such a container starts."""
        return request.unplugged or bool(request.sandbox and self._plugger is not None)

    def concerns_told(self, told: Mapping[str, Any]) -> bool:
        """The same of an inspected container."""
        return bool(wording.joined(told) or (wording.joined_sandbox(told) and self._plugger is not None))

    def _who_plugs(self) -> Plugger:
        if self._plugger is None:
            raise Unavailable(
                "This is plugged in by the service, which this node does not do; set driver = cni in section [network]."
            )
        return self._plugger

    async def _ready_sandbox(self, handle: str) -> None:
        """Whoever made the sandbox may have died before he plugged it in."""
        if not handle or self._plugger is None:
            return
        try:
            await self.plug_sandbox(handle)
        except NotFound as error:
            raise Conflict(f"The sandbox is not what it was, and is to be made anew: {error.message}") from error

    async def remove(self, told: Mapping[str, Any]) -> None:
        """The holder of an inspected container that was removed is gone."""
        name = wording.joined(told)
        if name:
            await self._remove(name)

    async def sweep(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """Holders whose container is gone are gone, and a container that lost its holder while it runs is plugged in without.

        `listed` is what the engine lists of this owner.
        """
        listed = list(listed)
        containers = {_holds(one, labels.UUID): one for one in listed}
        holders = {_holds(one, labels.HOLDS): one for one in listed if labels.is_holder(one.get("Labels"))}
        for holds, holder in holders.items():
            if holds not in containers:
                await self._trying(self._remove(holder["Id"]))
        for which, container in containers.items():
            joins = wording.joined(container)
            if joins and container["State"] == _RUNNING and holders.get(which, _NOTHING).get("State") != _RUNNING:
                _log.warning("somebody ended %s; its container keeps its network by itself until it ends", joins)
                await self._trying(self._plug_without(container["Id"], sandbox_key(which[0], int(which[1]))))

    async def _plug_without(self, container_id: str, key: str) -> None:
        """The namespace lives on with the container's own process."""
        told = await self._engine.call("GET", f"containers/{container_id}/json", "show the container")
        if self._plugger is not None and told["State"]["Pid"]:
            await self._plugger.plug(key, container_id, _namespace(told))

    @staticmethod
    async def _trying(work: Awaitable[None]) -> None:
        """What fails is done at the next look."""
        try:
            await work
        except ZunError as error:
            _log.warning("the network of a container is seen to later: %s", error.message)

    async def _running(self, name: str, told: Mapping[str, Any]) -> dict[str, Any]:
        """The holder as it runs."""
        found = await self._find(name)
        if found is None:
            found = await self._make(name, told)
        elif found["State"]["Running"] and found["HostConfig"]["Runtime"] != told["HostConfig"]["Runtime"]:
            # A sandboxed runtime takes the addresses out of the namespace for its own: another start needs another namespace.
            await self._engine.call("POST", f"containers/{found['Id']}/stop", "renew the network", params={"t": "0"})
            found["State"]["Running"] = False
        if not found["State"]["Running"]:
            await self._engine.call("POST", f"containers/{found['Id']}/start", "start what holds the network")
            found = await self._find(name)
        if found is None or not found["State"]["Running"]:
            raise Unavailable(f"{name}, which holds the container's network, does not stay; look at the engine's log.")
        return found

    async def _find(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._engine.call(
                "GET", f"containers/{name}/json", "show the network's holder"
            )
        except NotFound:
            return None
        held = found["Config"].get("Labels") or {}
        if held.get(labels.OWNER) != self._owner or not labels.is_holder(held):
            raise Conflict(f"The engine has another container of the name {name}; remove or rename that one.")
        return found

    async def _make(self, name: str, told: Mapping[str, Any]) -> dict[str, Any]:
        body = wording.holder_body(told, self._engine.options)
        try:
            await self._engine.call(
                "POST", "containers/create", "make what holds the network", params={"name": name}, body=body
            )
        except Conflict:
            pass  # made by a call whose answer was lost
        except NotFound as error:
            image = self._engine.options.sandbox_image
            raise NotFound(f"The engine lacks the image {image}; run scripts/build-image there.") from error
        found = await self._find(name)
        if found is None:
            raise Unavailable(f"The engine is just making or removing {name}; try again in a moment.")
        return found

    async def _remove(self, ident: str) -> None:
        try:
            await self._engine.call(
                "DELETE", f"containers/{ident}", "remove the network's holder", params={"force": "1"}
            )
        except NotFound:
            return
        except Conflict as error:
            if "already in progress" not in error.message:
                raise


def _namespace(told: Mapping[str, Any]) -> str:
    """Where the network of an inspected container that runs is."""
    return f"/proc/{told['State']['Pid']}/ns/net"


def _holds(listed: Mapping[str, Any], label: str) -> tuple[str, str]:
    held = listed.get("Labels") or {}
    return held.get(label, ""), held.get(labels.GENERATION, "")
