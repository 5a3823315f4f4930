# SPDX-License-Identifier: Apache-2.0
"""Processes that containerd forgot: when it is killed while it starts a sandbox, the shim lives on, and the next containerd does not know it.

What a shim works on (its *bundle*) tells whose it is. One of ours that containerd has no record of, at two looks in a row, is cleared
away as containerd clears away after a shim that died: with the shim's own `delete` command. (What the CRI lists is known, but that it
lists something not says little: it lacks what is just being made. containerd's record is there before the shim and goes after it.)
A restarted containerd may even remove the bundle and leave the shim: one that has no bundle, no record and no process is nobody's.
"""

import asyncio
import json
import logging
import os
import shutil
import signal
from pathlib import Path

from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri.calls import ContainerdCalls, RuntimeCalls
from zun.drivers.runtime.host.children import run
from zun.model.errors import NotFound, ZunError

_log = logging.getLogger(__name__)

_PROC = Path("/proc")
_SECONDS = 20.0
_NAMESPACE = "k8s.io"
_OF_SANDBOX = "io.kubernetes.cri.sandbox-namespace"


class Orphans:
    """Finds and clears what is left of one owner's sandboxes. `task_root` holds containerd's bundles."""

    def __init__(
        self, calls: RuntimeCalls, containerd: ContainerdCalls, *, task_root: Path, endpoint: str, namespace: str
    ) -> None:
        self._calls = calls
        self._containerd = containerd
        self._task_root = task_root
        self._socket = endpoint.removeprefix("unix://")
        self._namespace = namespace
        self._suspected: set[str] = set()
        self._homeless: set[int] = set()

    async def clear(self) -> None:
        """Look, and clear away what was there at the last look too. Raises `Unavailable` when the engine is away."""
        found = await asyncio.to_thread(self._bundles)
        if found:
            found -= await self._listed()
        found = await asyncio.to_thread(self._ours, found)
        found = {bundle_id for bundle_id in found if not await self._is_known(bundle_id)}
        certain, self._suspected = found & self._suspected, found
        for bundle_id in certain:
            _log.warning("clearing away the shim of the sandbox %s, which the engine forgot", bundle_id)
            try:
                await self._clear_one(bundle_id)
            except (OSError, ZunError) as error:
                _log.warning("what is left of sandbox %s stays, trying again: %s", bundle_id, error)
        await self._clear_homeless()

    async def _clear_homeless(self) -> None:
        idle = await asyncio.to_thread(self._idle_shims)
        if idle:
            bundles = await asyncio.to_thread(self._bundles)
            idle = {pid: name for pid, name in idle.items() if name not in bundles}
        found = {pid for pid, name in idle.items() if not await self._is_known(name)}
        certain, self._homeless = found & self._homeless, found
        for pid in certain:
            _log.warning("ending the shim %d of sandbox %s, which the engine forgot", pid, idle[pid])
            await asyncio.to_thread(_end, pid)

    def _bundles(self) -> set[str]:
        try:
            return {path.name for path in self._task_root.iterdir() if not path.name.startswith(".")}
        except FileNotFoundError:
            return set()

    async def _listed(self) -> set[str]:
        sandboxes = await self._calls.list_sandboxes(cri.ListPodSandboxRequest(), "list the sandboxes")
        containers = await self._calls.list_containers(cri.ListContainersRequest(), "list the containers")
        return {one.id for one in sandboxes.items} | {one.id for one in containers.containers}

    def _ours(self, bundles: set[str]) -> set[str]:
        """Those of this owner's sandboxes and their containers."""
        found = set()
        for name in bundles:
            try:
                spec = json.loads((self._task_root / name / "config.json").read_bytes())
            except (OSError, ValueError):
                continue  # just being made or removed
            if (spec.get("annotations") or {}).get(_OF_SANDBOX) == self._namespace:
                found.add(name)
        return found

    async def _is_known(self, bundle_id: str) -> bool:
        try:
            await self._containerd.container(cd.GetContainerRequest(id=bundle_id), "show a container")
        except NotFound:
            return False
        return True

    async def _clear_one(self, bundle_id: str) -> None:
        bundle = self._task_root / bundle_id
        programs = set()
        for pid in await asyncio.to_thread(self._shims, bundle_id):
            programs.add(str((_PROC / str(pid) / "exe").readlink()))
            os.kill(pid, signal.SIGKILL)
        told = bundle / "shim-binary-path"  # a shim that was cut off in its very beginning has not written it
        if told.exists():
            programs.add(told.read_text().strip())
        for program in programs:
            await self._delete(program, bundle_id, bundle)
        for directory in ((bundle / "work").resolve(), bundle):
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    def _shims(self, bundle_id: str) -> list[int]:
        return [pid for pid, name in self._all_shims().items() if name == bundle_id]

    def _all_shims(self) -> dict[int, str]:
        """This containerd's, with the bundle that each was started for."""
        found = {}
        for path in _PROC.glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue  # it has ended since
            if {"-id", self._socket, _NAMESPACE} <= set(words) and "shim" in words[0]:
                found[int(path.parent.name)] = words[words.index("-id") + 1]
        return found

    def _idle_shims(self) -> dict[int, str]:
        """Those that hold no process."""
        return {pid: name for pid, name in self._all_shims().items() if not _has_children(pid)}

    async def _delete(self, shim: str, bundle_id: str, bundle: Path) -> None:
        words = ["-namespace", _NAMESPACE, "-address", self._socket, "-id", bundle_id, "-bundle", str(bundle), "delete"]
        await run([shim, *words], seconds=_SECONDS, cwd=str(bundle))


def _has_children(pid: int) -> bool:
    try:
        return any(path.read_bytes().strip() for path in (_PROC / str(pid) / "task").glob("*/children"))
    except OSError:
        return True  # it is ending


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
