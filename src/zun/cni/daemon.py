# SPDX-License-Identifier: Apache-2.0
"""The daemon: takes up what runs, answers the executable and the agent, and looks now and then whether all is still there."""

import logging
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

from zun.base.clock import Clock
from zun.cni import sysctls
from zun.cni.alone import alone
from zun.cni.answering import Answering
from zun.cni.firewall.firewall import Firewall
from zun.cni.firewall.iptables import let_through
from zun.cni.firewall.nftables import Nftables
from zun.cni.installing import install
from zun.cni.journal import Journal
from zun.cni.options import CniOptions
from zun.cni.sandboxes import Sandboxes
from zun.cni.server import Server
from zun.cni.uplinks import default_uplinks
from zun.cni.workers import Workers
from zun.drivers.network.cni.sealing import endpoint_path, write_endpoint
from zun.drivers.network.cni.spool import Spool
from zun.model.errors import Internal, Unavailable, ZunError

_LOG = logging.getLogger(__name__)
_MODPROBE_SECONDS = 30


class Daemon:
    """Made by `open`, which returns when everything that was bound is bound again and questions are answered; `run` keeps it so."""

    def __init__(self, sandboxes: Sandboxes, firewall: Firewall, options: CniOptions, clock: Clock) -> None:
        self._sandboxes = sandboxes
        self._firewall = firewall
        self._options = options
        self._clock = clock

    @classmethod
    async def open(
        cls, stack: AsyncExitStack, *, state_dir: Path, boot_id: str, options: CniOptions, clock: Clock
    ) -> "Daemon":
        """Take up and listen; what must be closed goes on the stack. Raises `Unavailable` with what to do, `Internal`."""
        stack.enter_context(alone())
        _load_bridge_filter()
        nftables = Nftables()
        stack.callback(nftables.close)
        firewall = Firewall(nftables, host_access=options.host_access, seconds=options.bind_seconds)
        stack.callback(firewall.close)
        workers = Workers(options.bind_seconds)
        stack.callback(workers.close)
        sandboxes = Sandboxes(Journal(state_dir, boot_id), Spool(state_dir), firewall, workers)
        daemon = cls(sandboxes, firewall, options, clock)
        await sandboxes.recover(daemon._uplinks())
        await let_through()
        server, endpoint = await Server.open(Answering(sandboxes).answer, options.port)
        stack.push_async_callback(server.close)
        write_endpoint(endpoint_path(state_dir), endpoint)
        install(endpoint_path(state_dir), options)
        _LOG.info(
            "sandboxes are bound here, asked at %s:%d; %d run", endpoint.host, endpoint.port, len(sandboxes.keys())
        )
        return daemon

    async def run(self) -> None:
        """Look again and again; never returns."""
        while True:
            await self._clock.sleep(self._options.sync_seconds)
            try:
                await self._sandboxes.tidy()
                await self._firewall.heal(self._uplinks())
                await let_through()
            except (ZunError, OSError) as error:
                _LOG.warning("networks could not be looked at, which is tried again: %s", error)

    def _uplinks(self) -> frozenset[str]:
        return frozenset(self._options.uplinks) or default_uplinks()


def _load_bridge_filter() -> None:
    try:
        sysctls.filter_bridges()
    except Internal as error:
        try:
            done = subprocess.run(
                ["modprobe", "br_netfilter"], capture_output=True, timeout=_MODPROBE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            raise Unavailable(error.message) from error
        if done.returncode:
            raise Unavailable(error.message) from error
        sysctls.filter_bridges()
