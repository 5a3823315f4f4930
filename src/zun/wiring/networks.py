# SPDX-License-Identifier: Apache-2.0
"""Builds the daemon that binds networks, where this node has one."""

from contextlib import AsyncExitStack
from typing import Protocol

from zun.agent.identity import boot_id
from zun.base.clock import Clock
from zun.config import Settings
from zun.drivers.network.base import Networks
from zun.drivers.runtime.base import Plugger
from zun.wiring.life import Part


class PluggingNetworks(Networks, Plugger, Protocol):
    """Networks that are not the engine's, for the agent and for an engine that has to call who plugs in."""


async def build_cni_daemon(settings: Settings, stack: AsyncExitStack, clock: Clock) -> Part:
    """The daemon, at work already; the part keeps it so. Raises `ZunError` when it cannot be."""
    from zun.cni.daemon import Daemon  # noqa: PLC0415 - pyroute2 weighs

    daemon = await Daemon.open(
        stack, state_dir=settings.state_dir.absolute(), boot_id=boot_id(), options=settings.cni, clock=clock
    )
    return daemon.run


def node_networks(settings: Settings) -> PluggingNetworks | None:
    """Who plugs this node's containers in; None: the engine does."""
    if settings.network.driver == "engine":
        return None
    if settings.network.driver == "fake":
        from zun.drivers.network.fake import FakeNetworks  # noqa: PLC0415

        return FakeNetworks()
    from zun.drivers.network.cni.networks import CniNetworks  # noqa: PLC0415

    return CniNetworks(settings.state_dir.absolute())


async def network_parts(settings: Settings, stack: AsyncExitStack, clock: Clock) -> dict[str, Part]:
    """What a node's process needs for its networks: nothing while the engine has them, or another process binds."""
    if settings.network.driver != "cni" or settings.cni.separate:
        return {}
    return {"networks": await build_cni_daemon(settings, stack, clock)}
