# SPDX-License-Identifier: Apache-2.0
"""A real containerd as the contract wants it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.containerd_engine import Containerd
from support.limits import applied_limits_of
from support.registry import PASSWORD, USERNAME, Registry
from zun.base.clock import SystemClock
from zun.base.ids import new_uuid
from zun.drivers.runtime.base import Runtime
from zun.drivers.runtime.cri.options import CriOptions
from zun.drivers.runtime.cri.runtime import CriRuntime
from zun.drivers.runtime.labels import OWNER
from zun.drivers.runtime.types import Credentials

_WAIT_SECONDS = 30
_CGROUPS = Path("/sys/fs/cgroup")
_MIB = 1 << 20


@dataclass
class CriGround:
    """What a session of tests makes once."""

    engine: Containerd
    registry: Registry
    digest: str


@dataclass
class CriHarness:
    """Implements `RuntimeHarness`."""

    ground: CriGround
    directory: Path
    runtime: Runtime
    owner: str
    options: CriOptions
    opened: list[Runtime] = field(default_factory=list)
    image: str = "zun.local/busybox:latest"
    image_with_defaults: str = "zun.local/entrypoint:1"
    network: str = ""  # none takes fixed addresses
    addresses: tuple[str, str, str] = ("", "", "")

    @classmethod
    async def open(cls, ground: CriGround, directory: Path, **settings: Any) -> "CriHarness":
        owner = f"test-{new_uuid()}"
        options = CriOptions(endpoint=ground.engine.endpoint, cgroup_parent=ground.engine.group, **settings)
        runtime = await CriRuntime.open(options, owner=owner, clock=SystemClock(), state_dir=directory / "cri")
        return cls(ground, directory, runtime, owner, options)

    async def close(self) -> None:
        """Let go of everything and leave nothing behind, whatever the test did."""
        for runtime in (self.runtime, *self.opened):
            await runtime.close()
        for owner in (self.owner, f"{self.owner}-stranger"):
            await asyncio.to_thread(self.ground.engine.remove_pods, {OWNER: owner})
        await asyncio.to_thread(self.ground.engine.remove_groups)  # what a driver would have done
        names = self.ground.engine.ctr("images", "list", "--quiet").split()
        remote = (self.ground.registry.open, self.ground.registry.private)
        for name in names:
            if name.partition("/")[0] in remote and self.ground.registry.open:
                self.ground.engine.ctr("images", "remove", "--sync", name)

    @property
    def default_network(self) -> str:
        return self.ground.engine.bridge

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
        return await self._open(self.owner, self.directory / "cri")

    async def stranger(self) -> Runtime:
        return await self._open(f"{self.owner}-stranger", self.directory / "stranger")

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> None:
        async with asyncio.timeout(_WAIT_SECONDS):
            while not await condition():  # noqa: ASYNC110 - what changes lies in another process
                await asyncio.sleep(0.02)

    async def during(self, act: Awaitable[Any]) -> Any:
        return await act

    def volume(self) -> str:
        return f"zun-test-{new_uuid()}"

    def host_file(self, content: bytes) -> str:
        path = self.directory / new_uuid()
        path.write_bytes(content)
        return str(path)

    async def applied_limits(self, handle: str) -> tuple[float | None, int | None, str | None]:
        return await asyncio.to_thread(applied_limits, self.ground.engine, handle)

    async def _open(self, owner: str, state_dir: Path) -> Runtime:
        runtime = await CriRuntime.open(self.options, owner=owner, clock=SystemClock(), state_dir=state_dir)
        self.opened.append(runtime)
        return runtime


def container_id(engine: Containerd, handle: str) -> str:
    """The engine's id of a container, by its labels."""
    uuid = handle.partition(".")[0]
    wanted = f'labels."io.zun.uuid"=={uuid},labels."io.cri-containerd.kind"==container'
    return engine.ctr("containers", "list", "--quiet", wanted).split()[-1]


def pid_of(engine: Containerd, handle: str) -> int:
    """The machine's number of a container's first process."""
    wanted = container_id(engine, handle)
    lines = [line.split() for line in engine.ctr("tasks", "list").splitlines()]
    return next(int(line[1]) for line in lines if line[0] == wanted)


def applied_limits(engine: Containerd, handle: str) -> tuple[float | None, int | None, str | None]:
    """What the kernel holds a container to."""
    return applied_limits_of(pid_of(engine, handle))


def spec_of(engine: Containerd, handle: str) -> dict[str, Any]:
    """The OCI specification that the engine runs a container by."""
    told: dict[str, Any] = json.loads(engine.ctr("containers", "info", container_id(engine, handle)))
    spec: dict[str, Any] = told["Spec"]
    return spec
