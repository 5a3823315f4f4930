# SPDX-License-Identifier: Apache-2.0
"""The node's account of itself, told as long as the agent lives."""

import logging
from pathlib import Path
from typing import NoReturn

from zun import __version__
from zun.agent.fingerprinting import About, node_info
from zun.agent.known_store import MOST_NAMED
from zun.agent.recovery import patiently
from zun.agent.tools import Tools
from zun.base.disk import free_mib
from zun.drivers.runtime.types import Fingerprint
from zun.model.errors import Timeout, Unavailable
from zun.model.records import NodeInfo
from zun.store.nodelink import NodeLink

_log = logging.getLogger(__name__)


class Publishing:
    """Tells it: first `begin`, then `run`."""

    def __init__(self, about: About, link: NodeLink, tools: Tools, state_dir: Path) -> None:
        self._about = about
        self._link = link
        self._engine = tools.engine
        self._known_store = tools.known_store
        self._plugs = tools.plugs
        self._options = tools.options
        self._clock = tools.clock
        self._state_dir = state_dir
        self._reports = 0
        self._told: Fingerprint | None = None

    async def begin(self, reports: int) -> None:
        """Tell it for the first time, however long engine and store take. `reports`: told by earlier lives."""
        self._reports = reports
        found = await patiently("asking the engine", self._clock, self._engine.fingerprint)
        await patiently("publishing the node", self._clock, lambda: self._publish(found))
        self._told = found

    async def run(self) -> NoReturn:
        """Tell it anew now and then as a sign of life, and at once when the engine offers something else (a network, a runtime)."""
        told_at, strays = self._clock.monotonic(), 0
        while True:
            await self._clock.sleep(min(self._options.look_seconds, self._options.publish_seconds))
            try:
                found, kept = await self._engine.fingerprint(), len(self._known_store.kept)
                due = self._clock.monotonic() - told_at >= self._options.publish_seconds
                if due or found != self._told or kept != strays:
                    revision = await self._publish(found)
                    self._told, told_at, strays = found, self._clock.monotonic(), kept
                    await self._known_store.heard_of(revision)
            except (Unavailable, Timeout) as error:
                _log.warning("publishing the node: %s", error)

    async def _publish(self, found: Fingerprint) -> int:
        self._reports += 1
        return await self._link.publish(self._info(found))

    def _info(self, found: Fingerprint) -> NodeInfo:
        info = node_info(self._about, found, self._options, now=self._clock.now(), reports=self._reports)
        kept = sorted(self._known_store.kept)
        info.version, info.state_free_mib = __version__, free_mib(self._state_dir)
        info.strays, info.named_strays = len(kept), kept[:MOST_NAMED]
        return self._plugs.described(info)
