# SPDX-License-Identifier: Apache-2.0
"""Life of containers in a Docker engine: the `Containers` part of the port. One verb is one round trip wherever it can be."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import msgspec

from zun.base.clock import Clock
from zun.base.side_by_side import side_by_side
from zun.drivers.runtime import labels
from zun.drivers.runtime.docker import request as wording
from zun.drivers.runtime.docker import seen
from zun.drivers.runtime.docker.engine import Engine, Incoming
from zun.drivers.runtime.docker.fingerprint import fingerprint, supports_disk_quota
from zun.drivers.runtime.docker.holding import Holders
from zun.drivers.runtime.docker.networks import DockerNetworks
from zun.drivers.runtime.docker.terminals import Terminals
from zun.drivers.runtime.types import ContainerRequest, Fingerprint, RuntimeEvent, RuntimeEventKind, Seen
from zun.model.errors import Conflict, NotFound, Unavailable, Unsupported

_INSPECTS_AT_ONCE = 8
_STOP_SLACK_SECONDS = 30.0


class DockerContainers:
    """Implements `Containers` on a Docker engine, for one owner."""

    def __init__(
        self,
        engine: Engine,
        owner: str,
        clock: Clock,
        networks: DockerNetworks,
        terminals: Terminals,
        *,
        holders: Holders,
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._clock = clock
        self._networks = networks
        self._terminals = terminals
        self._holders = holders
        self._held: dict[
            str, bool
        ] = {}  # whether a container, by handle, joins what has to be plugged in before it starts
        self._disk_quota: bool | None = None
        self._out_of_memory: dict[str, float] = {}  # when, by handle, until it is removed

    async def fingerprint(self) -> Fingerprint:
        """What the engine can do and what its machine has."""
        info = await self._engine.call("GET", "info", "describe itself")
        self._disk_quota = supports_disk_quota(info)
        return fingerprint(
            info,
            await self._networks.list(),
            capsules=await self._has_sandbox_image(),
            sandboxed=self._engine.options.sandboxed_capsules,
            here=self._engine.address.is_here,
        )

    async def inspect(self, handle: str) -> Seen:
        """One container now."""
        return seen.container(await self._inspect(handle), oom_at=self._out_of_memory.get(handle))

    async def list(self) -> list[Seen]:
        """All of this owner's."""
        summaries = await self._engine.call(
            "GET", "containers/json", "list the containers", params={"all": "1", "filters": self._filters()}
        )
        await self._holders.sweep(summaries)

        async def look(handle: str) -> Seen | None:
            try:
                return await self.inspect(handle)
            except NotFound:
                return None  # removed since it was listed

        others = [one for one in summaries if not labels.is_nobodys(one.get("Labels"))]
        found = await side_by_side((one["Id"] for one in others), look, at_once=_INSPECTS_AT_ONCE)
        return [one for one in found if one is not None]

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[RuntimeEvent]]:
        """From now on: the engine is told the time, so that nothing is lost while it begins to listen."""
        params = {"since": f"{self._clock.now():.9f}", "filters": self._filters(event=seen.WATCHED_EVENTS)}
        limit = self._engine.options.call_seconds
        async with (
            self._engine.stream("GET", "events", "tell its events", params=params, answer_seconds=limit) as incoming,
            aclosing(self._read_events(incoming)) as events,
        ):
            yield events

    async def create(self, request: ContainerRequest) -> str:
        """Make it, with all its networks, not started."""
        await self._check(request)
        name = wording.name(request.uuid, request.generation)
        try:
            made = await self._engine.call(
                "POST",
                "containers/create",
                "create the container",
                params={"name": name},
                body=wording.create_body(request, owner=self._owner, options=self._engine.options),
            )
        except Conflict:
            return await self._adopt(request, name)
        handle: str = made["Id"]
        self._terminals.remember(handle, tty=request.tty)
        self._held[handle] = self._holders.concerns(request)
        if len(request.networks) > 1:
            await self._connect_further(handle, request, present=())
        return handle

    async def start(self, handle: str) -> None:
        """Start it, its network first; already running is no error."""
        if self._held.get(handle, True):
            await self._holders.ready(await self._inspect(handle))
        await self._act(handle, "start", "start the container")

    async def stop(self, handle: str, timeout_seconds: int) -> None:
        """SIGTERM, then SIGKILL after the timeout."""
        await self._engine.call(
            "POST",
            f"containers/{handle}/stop",
            "stop the container",
            params={"t": str(timeout_seconds)},
            seconds=timeout_seconds + _STOP_SLACK_SECONDS,
        )

    async def kill(self, handle: str, signal: str) -> None:
        """Send a signal."""
        await self._engine.call(
            "POST", f"containers/{handle}/kill", f"send {signal} to the container", params={"signal": signal}
        )

    async def pause(self, handle: str) -> None:
        """Freeze it."""
        await self._act(handle, "pause", "pause the container")

    async def unpause(self, handle: str) -> None:
        """Thaw it."""
        await self._act(handle, "unpause", "unpause the container")

    async def update(self, handle: str, *, cpu: float | None, memory_mib: int | None, cpuset: str | None) -> None:
        """Change limits on the living container."""
        body = wording.limits(cpu, memory_mib, cpuset, self._engine.options.swap)
        if body:
            await self._engine.call("POST", f"containers/{handle}/update", "change the container's limits", body=body)

    async def remove(self, handle: str) -> None:
        """Remove it with its anonymous volumes, and what holds its network; when somebody else is at it, wait until it is gone."""
        told: dict[str, Any] = {}
        if self._held.get(handle, True):
            with suppress(NotFound):
                told = await self._inspect(handle)
        try:
            await self._engine.call(
                "DELETE", f"containers/{handle}", "remove the container", params={"force": "1", "v": "1"}
            )
        except NotFound:
            pass
        except Conflict as error:
            if "already in progress" not in error.message:
                raise
            await self._wait_until_removed(handle)
        self._terminals.forget(handle)
        await self._holders.remove(told)
        self._held.pop(handle, None)

    async def _act(self, handle: str, verb: str, doing: str) -> None:
        await self._engine.call("POST", f"containers/{handle}/{verb}", doing)

    async def _inspect(self, handle: str) -> dict[str, Any]:
        told: dict[str, Any] = await self._engine.call("GET", f"containers/{handle}/json", "show the container")
        known = seen.identity(told)
        if known is None or known[0] != self._owner:
            raise NotFound(f"Container {handle[:12]} is not one of this node's; list the containers.")
        self._held[handle] = self._holders.concerns_told(told)
        return told

    async def _has_sandbox_image(self) -> bool:
        reference = wording.image(self._engine.options.sandbox_image)
        try:
            await self._engine.call("GET", f"images/{reference}/json", "find the sandbox image")
        except NotFound:
            return False
        return True

    async def _check(self, request: ContainerRequest) -> None:
        for network in request.networks:
            await self._networks.check(network)
        if request.disk_gib:
            if self._disk_quota is None:
                await self.fingerprint()
            if not self._disk_quota:
                raise Unsupported("This engine's storage driver cannot limit disk space; ask for none (disk 0).")

    async def _adopt(self, request: ContainerRequest, name: str) -> str:
        """The name is taken: by this very container, made by a call whose answer was lost, or by something else."""
        try:
            told = await self._engine.call("GET", f"containers/{name}/json", "show the container")
        except NotFound as error:
            raise Unavailable(f"The engine is just making or removing {name}; try again in a moment.") from error
        if seen.identity(told) != (self._owner, request.uuid, request.generation):
            raise Conflict(f"The engine has another container of the name {name}; remove or rename that one.")
        handle: str = told["Id"]
        await self._connect_further(handle, request, present=tuple(told["NetworkSettings"].get("Networks") or {}))
        return handle

    async def _connect_further(self, handle: str, request: ContainerRequest, present: tuple[str, ...]) -> None:
        try:
            for network in request.networks[1:]:
                if network.network not in present:
                    await self._networks.attach(handle, network)
        except (NotFound, Conflict):
            await self.remove(handle)  # half of its networks is not what was asked for
            raise

    async def _wait_until_removed(self, handle: str) -> None:
        try:
            await self._engine.call(
                "POST",
                f"containers/{handle}/wait",
                "finish removing the container",
                params={"condition": "removed"},
            )
        except NotFound:
            return

    async def _read_events(self, incoming: Incoming) -> AsyncGenerator[RuntimeEvent, None]:
        async for line in incoming.lines():
            found = seen.event(line)
            if found is None:
                continue
            if found.kind is RuntimeEventKind.OOM:
                self._out_of_memory[found.handle] = found.at
            elif found.kind is RuntimeEventKind.REMOVED:
                self._out_of_memory.pop(found.handle, None)
            yield found
        raise Unavailable("Docker's event stream ended; list the containers and listen again.")

    def _filters(self, **more: tuple[str, ...]) -> str:
        chosen: dict[str, tuple[str, ...]] = {"label": (f"{labels.OWNER}={self._owner}",), **more}
        if more:
            chosen["type"] = ("container",)
        return msgspec.json.encode(chosen).decode()
