# SPDX-License-Identifier: Apache-2.0
"""Picks the engine of a node."""

from zun.agent.identity import NodeIdentity
from zun.base.clock import Clock
from zun.config import Settings
from zun.drivers.runtime.base import Plugger, Runtime


async def open_engine(
    settings: Settings, identity: NodeIdentity, clock: Clock, plugger: Plugger | None = None
) -> Runtime:
    """The engine; its driver is imported only when it is chosen. `plugger`: who plugs its containers in, when it does not by itself."""
    if settings.runtime.driver == "fake":
        from zun.drivers.runtime.fake.runtime import FakeRuntime  # noqa: PLC0415

        return FakeRuntime(clock, owner=identity.owner)
    if settings.runtime.driver == "cri":
        from zun.drivers.runtime.cri.runtime import CriRuntime  # noqa: PLC0415

        state_dir = settings.state_dir / "cri"
        return await CriRuntime.open(
            settings.cri, owner=identity.owner, clock=clock, state_dir=state_dir, plugger=plugger
        )
    from zun.drivers.runtime.docker.runtime import DockerRuntime  # noqa: PLC0415

    return await DockerRuntime.open(settings.docker, owner=identity.owner, clock=clock, plugger=plugger)
