# SPDX-License-Identifier: Apache-2.0
"""`zund cni-daemon`: what binds a node's sandboxes, in a process of its own, so that it runs on when the node's agent restarts."""

from contextlib import AsyncExitStack

from zun.base.clock import SystemClock
from zun.config import Settings
from zun.wiring.basis import prepare
from zun.wiring.life import House
from zun.wiring.networks import build_cni_daemon


async def build(settings: Settings, stack: AsyncExitStack) -> House:
    """The daemon. Raises `ZunError` when it cannot be."""
    prepare(settings.state_dir)
    daemon = await build_cni_daemon(settings, stack, SystemClock())

    async def ready() -> None:
        """It is since it was built."""

    return House(greeting="zund cni-daemon is ready", stages=[{"networks": daemon}], ready=ready)
