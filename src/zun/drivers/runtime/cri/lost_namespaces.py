# SPDX-License-Identifier: Apache-2.0
"""Network namespaces that containerd forgot: it makes one before it writes down whose it is, and may be killed in between.

Only where containerd keeps them in a directory of its own (`netns_mounts_under_state_dir`) can a forgotten one be told from a
stranger's. One that no sandbox names for longer than making a sandbox can take is let go of, with the links that are in it.
"""

import asyncio
import logging
from pathlib import Path

from zun.base.clock import Clock
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.calls import RuntimeCalls
from zun.drivers.runtime.cri.seen import network_namespaces
from zun.drivers.runtime.host.children import run
from zun.model.errors import NotFound, Timeout

_log = logging.getLogger(__name__)

_SECONDS = 10.0


class LostNamespaces:
    """Finds and lets go of namespaces. `directory` None: they cannot be told apart, and nothing is done."""

    def __init__(self, calls: RuntimeCalls, directory: Path | None, clock: Clock, *, patience_seconds: float) -> None:
        self._calls = calls
        self._directory = directory
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._since: dict[str, float] = {}

    async def clear(self) -> None:
        """Look, and let go of what has been nobody's for long. Raises `Unavailable` when the engine is away."""
        names = await asyncio.to_thread(self._names)
        sandboxes = (await self._calls.list_sandboxes(cri.ListPodSandboxRequest(), "list the sandboxes")).items
        if len(names) > len(sandboxes) or self._since:  # asking each sandbox costs; mostly there is no need
            names -= {name for sandbox in sandboxes for name in await self._names_of(sandbox.id)}
        else:
            names = set()
        now = self._clock.monotonic()
        self._since = {name: self._since.get(name, now) for name in names}
        for name, since in self._since.items():
            if now - since >= self._patience_seconds:
                await self._let_go(name)

    def _names(self) -> set[str]:
        if self._directory is None or not self._directory.is_dir():
            return set()
        return {path.name for path in self._directory.iterdir()}

    async def _names_of(self, sandbox_id: str) -> set[str]:
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id, verbose=True)
        try:
            told = await self._calls.sandbox_status(request, "show the sandbox")
        except NotFound:
            return set()
        return {Path(path).name for path in network_namespaces(told)}

    async def _let_go(self, name: str) -> None:
        if self._directory is None:
            return
        _log.warning("letting go of the network namespace %s, which the engine forgot", name)
        path = self._directory / name
        try:
            await run(["umount", "--lazy", str(path)], seconds=_SECONDS)  # not mounted is no error
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except (OSError, Timeout) as error:
            _log.warning("the network namespace %s stays, trying again: %s", name, error)
