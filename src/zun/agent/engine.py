# SPDX-License-Identifier: Apache-2.0
"""The runtime as the agent uses it: every call has an end, only so many work at once, and an engine that restarts is waited for.

Stopping waits for a process, not for the engine: it takes no slot, so that a long grace holds up nobody else.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from zun.agent.fingerprinting import dedicated_cpus
from zun.agent.options import AgentOptions
from zun.agent.probing.watch import Verdict
from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.drivers.runtime.base import Pods, Runtime
from zun.drivers.runtime.types import (
    Capability,
    ContainerRequest,
    Fingerprint,
    ImageInfo,
    NetworkRequest,
    SandboxRequest,
    SandboxSeen,
    Seen,
)
from zun.model.errors import NotFound, Timeout, Unavailable, Unsupported

T = TypeVar("T")


class Engine:
    """Bounded and patient calls. Errors are the runtime port's, and `Timeout`.

    `verdict` is what the agent itself found out about a container that the engine shows: it completes the look.
    """

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        options: AgentOptions,
        *,
        retry: Backoff | None = None,
        verdict: Callable[[Seen], Verdict | None] = lambda _: None,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._seconds = options.engine_timeout_seconds
        self._slots = asyncio.Semaphore(options.parallel_operations or 4 * (os.cpu_count() or 1))
        self._retry = retry or Backoff(first_seconds=0.25, cap_seconds=4.0, attempts=5)
        self._dedicated = options.dedicated_cpus
        self.shared_cpus: str | None = None
        """The cpus of containers that have none of their own; None: all. Known once the engine has described itself."""
        self.checks_health = True
        """Whether it runs health checks itself; else the agent does. Known once the engine has described itself."""
        self._verdict = verdict

    async def fingerprint(self) -> Fingerprint:
        """What the engine says of itself. Raises `Invalid` when the options name cpus that it lacks."""
        found = await self._bounded("describe itself", self._runtime.containers.fingerprint)
        dedicated = set(dedicated_cpus(self._dedicated, found.cpus))
        shared = [str(cpu) for cpu in range(found.cpus) if cpu not in dedicated]
        self.shared_cpus = ",".join(shared) if dedicated and shared else None
        self.checks_health = Capability.HEALTH in found.capabilities
        return found

    async def inspect(self, handle: str) -> Seen | None:
        """One container now; None when it is not there."""
        try:
            seen = await self._patient("look at a container", lambda: self._runtime.containers.inspect(handle))
        except NotFound:
            return None
        verdict = self._verdict(seen)
        if verdict is None:
            return seen
        return msgspec.structs.replace(seen, health=verdict.health.value, unwell=verdict.why)

    async def list(self) -> "list[Seen]":
        """All our containers."""
        return await self._bounded("list containers", self._runtime.containers.list)

    async def create(self, request: ContainerRequest) -> str:
        """Make it, or find the one of that uuid and generation."""
        return await self._working("create a container", lambda: self._runtime.containers.create(request))

    async def start(self, handle: str, check: Callable[[], None] = lambda: None) -> None:
        """Start it. `check` is asked each time just before, however long that waited for its turn; what it raises passes through."""

        async def checked() -> None:
            check()
            await self._runtime.containers.start(handle)

        await self._working("start a container", checked)

    async def stop(self, handle: str, grace_seconds: int) -> None:
        """Stop it; waits for its process up to the grace and the engine's own time."""
        await self._patient(
            "stop a container",
            lambda: self._runtime.containers.stop(handle, grace_seconds),
            seconds=grace_seconds + self._seconds,
        )

    async def kill(self, handle: str, signal: str) -> None:
        """Send a signal, once: it is never sent again when the answer got lost."""
        await self._bounded("signal a container", lambda: self._runtime.containers.kill(handle, signal))

    async def pause(self, handle: str) -> None:
        """Freeze it."""
        await self._working("pause a container", lambda: self._runtime.containers.pause(handle))

    async def unpause(self, handle: str) -> None:
        """Thaw it."""
        await self._working("unpause a container", lambda: self._runtime.containers.unpause(handle))

    async def update(self, handle: str, *, cpu: float | None, memory_mib: int | None, cpuset: str | None) -> None:
        """Change its limits."""
        await self._working(
            "change a container's limits",
            lambda: self._runtime.containers.update(handle, cpu=cpu, memory_mib=memory_mib, cpuset=cpuset),
        )

    async def remove(self, handle: str) -> None:
        """Remove it, running or not."""
        await self._working("remove a container", lambda: self._runtime.containers.remove(handle))

    async def list_sandboxes(self, capsule: str = "") -> Sequence[SandboxSeen]:
        """All our sandboxes, or those of one capsule; none where the engine has no such thing."""
        pods = self._runtime.pods
        return await self._bounded("list sandboxes", lambda: pods.list_sandboxes(capsule)) if pods is not None else []

    async def inspect_sandbox(self, handle: str) -> SandboxSeen | None:
        """One sandbox now; None when it is not there."""
        pods = self._pods()
        try:
            return await self._patient("look at a sandbox", lambda: pods.inspect_sandbox(handle))
        except NotFound:
            return None

    async def create_sandbox(self, request: SandboxRequest) -> str:
        """Make it, or find the one of that uuid and generation."""
        pods = self._pods()
        return await self._working("make a sandbox", lambda: pods.create_sandbox(request))

    async def remove_sandbox(self, handle: str) -> None:
        """Remove it with all that is in it."""
        pods = self._pods()
        await self._working("remove a sandbox", lambda: pods.remove_sandbox(handle))

    async def commit(self, handle: str, repository: str, tag: str) -> ImageInfo:
        """Make an image of it, once; may take as long as copying it does."""
        async with self._slots:
            return await self._bounded(
                "commit a container",
                lambda: self._runtime.images.commit(handle, repository, tag),
                seconds=10 * self._seconds,
            )

    async def attach_network(self, handle: str, request: NetworkRequest) -> None:
        """Plug it into a network."""
        await self._working("attach a network", lambda: self._runtime.networks.attach(handle, request))

    async def detach_network(self, handle: str, network: str) -> None:
        """Unplug it."""
        await self._working("detach a network", lambda: self._runtime.networks.detach(handle, network))

    def _pods(self) -> Pods:
        if self._runtime.pods is None:
            raise Unsupported(f"The engine {self._runtime.name} has no capsules; use another node.")
        return self._runtime.pods

    async def _working(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            return await self._patient(what, call)

    async def _patient(self, what: str, call: Callable[[], Awaitable[T]], *, seconds: float | None = None) -> T:
        """For calls that may be made again: an engine that is away may be restarting."""
        for delay in self._retry.delays():
            try:
                return await self._bounded(what, call, seconds=seconds)
            except Unavailable:
                await self._clock.sleep(delay)
        return await self._bounded(what, call, seconds=seconds)

    async def _bounded(self, what: str, call: Callable[[], Awaitable[T]], *, seconds: float | None = None) -> T:
        limit = seconds or self._seconds
        try:
            async with asyncio.timeout(limit):
                return await call()
        except TimeoutError as error:
            raise Timeout(
                f"The engine did not {what} within {limit:g} seconds; see whether it is overloaded or stuck."
            ) from error
