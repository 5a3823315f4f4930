# SPDX-License-Identifier: Apache-2.0
"""Networks that zun-cni binds: what is wanted lies in the spool, and the daemon is told when a sandbox that runs is to change."""

import asyncio
from pathlib import Path

from zun.drivers.network.cni.client import DaemonClient
from zun.drivers.network.cni.questions import Found
from zun.drivers.network.cni.sealing import endpoint_path
from zun.drivers.network.cni.spool import Spool
from zun.model.attachments import Attachment, SandboxNetwork, check_sandbox
from zun.model.errors import Conflict, Internal, NotFound, ZunError


class CniNetworks:
    """Implements `Networks` with the daemon of this node. One task at a time may change the same sandbox."""

    def __init__(self, state_dir: Path, daemon: DaemonClient | None = None) -> None:
        self._spool = Spool(state_dir)
        self._daemon = daemon or DaemonClient(endpoint_path(state_dir))

    @property
    def name(self) -> str:
        """As the settings have it."""
        return "cni"

    @property
    def by_engine(self) -> bool:
        """The engine only runs the plugin."""
        return False

    async def prepare(self, sandbox: SandboxNetwork) -> None:
        """Write it down; the daemon reads it when the engine runs zun-cni."""
        check_sandbox(sandbox)
        await self._write(sandbox)

    async def prepared(self, key: str) -> SandboxNetwork:
        """As it is written down."""
        return await asyncio.to_thread(self._spool.read, key)

    async def plug(self, key: str, container_id: str, netns: str) -> None:
        """For engines that run no plugins: what the plugin would have asked for."""
        await self._daemon.plug(Found(key, container_id, netns))

    async def attach(self, key: str, attachment: Attachment) -> None:
        """Write it down and have it done."""
        known = await asyncio.to_thread(self._spool.read, key)
        if any(one.network == attachment.network for one in known.attachments):
            raise Conflict(f"Sandbox {key} is on network {attachment.network} already.")
        await self._change(known, SandboxNetwork(key, (*known.attachments, attachment), known.dns))

    async def detach(self, key: str, network: str) -> None:
        """Write it down and have it done."""
        known = await asyncio.to_thread(self._spool.read, key)
        left = tuple(one for one in known.attachments if one.network != network)
        if left == known.attachments:
            raise NotFound(f"Sandbox {key} is not on network {network}.")
        await self._change(known, SandboxNetwork(key, left, known.dns))

    async def release(self, key: str) -> None:
        """Have undone what the engine may have left, and forget."""
        await self._daemon.release(key)
        await asyncio.to_thread(self._spool.remove, key)

    async def known(self) -> set[str]:
        """All in the spool, and all that the daemon holds."""
        return await asyncio.to_thread(self._spool.keys) | set(await self._daemon.keys())

    async def _change(self, before: SandboxNetwork, after: SandboxNetwork) -> None:
        check_sandbox(after)
        await self._write(after)
        try:
            await self._daemon.sync(after.key)
        except NotFound:
            return  # it does not run: it is plugged in so when it starts
        except ZunError:
            await self._write(before)
            raise

    async def _write(self, sandbox: SandboxNetwork) -> None:
        try:
            await asyncio.to_thread(self._spool.write, sandbox)
        except OSError as error:
            raise Internal(
                f"The node cannot write down a sandbox's networks: {error}. Make room or repair the disk, then try again."
            ) from error
