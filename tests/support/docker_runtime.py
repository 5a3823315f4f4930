# SPDX-License-Identifier: Apache-2.0
"""A real Docker engine as the contract wants it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import docker_engine
from support.limits import applied_limits_of
from support.registry import PASSWORD, USERNAME, Registry
from zun.base.clock import SystemClock
from zun.base.ids import new_uuid
from zun.drivers.runtime.base import Runtime
from zun.drivers.runtime.docker.options import DockerOptions
from zun.drivers.runtime.docker.runtime import DockerRuntime
from zun.drivers.runtime.types import Credentials

_WAIT_SECONDS = 30
_CGROUPS = Path("/sys/fs/cgroup")
_MIB = 1 << 20


@dataclass
class DockerGround:
    """What a session of tests makes once in the engine."""

    registry: Registry
    network: str
    prefix: str
    digest: str


@dataclass
class DockerHarness:
    """Implements `RuntimeHarness`."""

    ground: DockerGround
    directory: Path
    runtime: Runtime
    owner: str
    opened: list[Runtime] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    image: str = "zun.local/busybox:latest"
    image_with_defaults: str = "zun.local/entrypoint:1"
    default_network: str = "bridge"

    @classmethod
    async def open(cls, ground: DockerGround, directory: Path) -> "DockerHarness":
        owner = f"test-{new_uuid()}"
        runtime = await DockerRuntime.open(DockerOptions(), owner=owner, clock=SystemClock())
        return cls(ground, directory, runtime, owner)

    async def close(self) -> None:
        """Let go of everything and leave nothing behind, whatever the test did."""
        for runtime in (self.runtime, *self.opened):
            await runtime.close()
        docker_engine.remove_owned(self.owner)
        docker_engine.remove_owned(f"{self.owner}-stranger")
        for volume in self.volumes:
            docker_engine.call("DELETE", f"/volumes/{volume}")
        for image in (self.remote_image, self.remote_digest, self.private_image):
            docker_engine.call("DELETE", f"/images/{image}")

    @property
    def network(self) -> str:
        return self.ground.network

    @property
    def addresses(self) -> tuple[str, str, str]:
        return (f"{self.ground.prefix}.10", f"{self.ground.prefix}.11", f"{self.ground.prefix}.12")

    @property
    def remote_image(self) -> str:
        return f"{self.ground.registry.open}/team/app:1"

    @property
    def remote_digest(self) -> str:
        return f"{self.ground.registry.open}/team/app@{self.ground.digest}"

    @property
    def private_image(self) -> str:
        return f"{self.ground.registry.private}/team/app:1"

    @property
    def credentials(self) -> Credentials:
        return Credentials(USERNAME, PASSWORD, self.ground.registry.private)

    async def reopen(self) -> Runtime:
        return await self._open(self.owner)

    async def stranger(self) -> Runtime:
        return await self._open(f"{self.owner}-stranger")

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> None:
        async with asyncio.timeout(_WAIT_SECONDS):
            while not await condition():  # noqa: ASYNC110 - what changes lies in another process
                await asyncio.sleep(0.02)

    async def during(self, act: Awaitable[Any]) -> Any:
        return await act

    def volume(self) -> str:
        self.volumes.append(f"zun-test-{new_uuid()}")
        return self.volumes[-1]

    def host_file(self, content: bytes) -> str:
        path = self.directory / new_uuid()
        path.write_bytes(content)
        return str(path)

    async def applied_limits(self, handle: str) -> tuple[float | None, int | None, str | None]:
        return _applied_limits(handle)

    async def _open(self, owner: str) -> Runtime:
        runtime = await DockerRuntime.open(DockerOptions(), owner=owner, clock=SystemClock())
        self.opened.append(runtime)
        return runtime


def _applied_limits(handle: str) -> tuple[float | None, int | None, str | None]:
    pid = json.loads(docker_engine.call("GET", f"/containers/{handle}/json")[1])["State"]["Pid"]
    return applied_limits_of(pid)
