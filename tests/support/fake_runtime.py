# SPDX-License-Identifier: Apache-2.0
"""The fake as the contract wants it: time is moved by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from zun.base.clock import ManualClock
from zun.base.ids import new_uuid
from zun.drivers.runtime.base import Runtime
from zun.drivers.runtime.fake import FakeEngine, FakeRuntime
from zun.drivers.runtime.types import Credentials

_STEP_SECONDS = 0.05
_STEPS = 4000


class FakeHarness:
    """Implements `RuntimeHarness`."""

    image = "zun.local/busybox:latest"
    image_with_defaults = "zun.local/entrypoint:1"
    default_network = "bridge"
    remote_image = "registry.test/team/app:1"
    private_image = "private.test/team/app:1"
    credentials = Credentials("alice", "right horse", "private.test")
    network = "blue"
    addresses = ("10.77.0.10", "10.77.0.11", "10.77.0.12")

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.engine = FakeEngine(self.clock, any_image=False)
        self.runtime: Runtime = FakeRuntime(self.clock, owner="me", engine=self.engine)
        self._directory = directory
        self.engine.add_image(self.image)
        self.engine.add_image(
            self.image_with_defaults,
            entrypoint=["echo", "arguments:"],
            command=["default", "arguments"],
            workdir="/srv",
            exposed_ports=("8080/tcp",),
        )
        remote = self.engine.add_remote_image(self.remote_image)
        self.remote_digest = remote.digests[0]
        self.engine.add_remote_image(self.private_image, username="alice", password="right horse")
        self.engine.add_network(self.network, "10.77.0.0/24")

    async def reopen(self) -> Runtime:
        return FakeRuntime(self.clock, owner="me", engine=self.engine)

    async def stranger(self) -> Runtime:
        return FakeRuntime(self.clock, owner="somebody else", engine=self.engine)

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> None:
        for _ in range(_STEPS):
            if await condition():
                return
            await self._pass()
        raise AssertionError("it never became so")

    async def during(self, act: Awaitable[Any]) -> Any:
        task = asyncio.ensure_future(act)
        for _ in range(_STEPS):
            if task.done():
                break
            await self._pass()
        return await task

    def volume(self) -> str:
        return f"volume-{new_uuid()}"

    def host_file(self, content: bytes) -> str:
        path = self._directory / new_uuid()
        path.write_bytes(content)
        return str(path)

    async def applied_limits(self, handle: str) -> tuple[float | None, int | None, str | None]:
        container = self.engine.container(handle)
        return container.cpu, container.memory_mib, container.cpuset

    async def _pass(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.clock.advance(_STEP_SECONDS)
