# SPDX-License-Identifier: Apache-2.0
"""What has to be done from time to time, whoever asks: logs turned over, sandboxes of what has ended let go, remains cleared away.

A crash (ours or the engine's) may leave a sandbox without a container, an attempt beside the one that took its place, a directory of
nothing. Each is looked at again under its container's lock before it is touched: what is in work is left alone.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import NoReturn

from zun.base.clock import Clock
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels
from zun.drivers.runtime.cri.attempts import Attempts, has_begun
from zun.drivers.runtime.cri.calls import RuntimeCalls
from zun.drivers.runtime.cri.handles import Identity, identity_of
from zun.drivers.runtime.cri.lost_namespaces import LostNamespaces
from zun.drivers.runtime.cri.options import CriOptions
from zun.drivers.runtime.cri.orphans import Orphans
from zun.drivers.runtime.cri.places import Places
from zun.drivers.runtime.cri.sandboxes import Sandboxes
from zun.drivers.runtime.cri.seen import never_ran
from zun.model.errors import NotFound, ZunError

_log = logging.getLogger(__name__)


class Upkeep:
    """Two loops over one owner's things."""

    def __init__(
        self,
        calls: RuntimeCalls,
        *,
        attempts: Attempts,
        sandboxes: Sandboxes,
        places: Places,
        orphans: Orphans,
        lost: LostNamespaces,
        owner: str,
        clock: Clock,
        options: CriOptions,
    ) -> None:
        self._calls = calls
        self._attempts = attempts
        self._sandboxes = sandboxes
        self._places = places
        self._orphans = orphans
        self._lost = lost
        self._owner = owner
        self._clock = clock
        self._options = options
        self._ended: dict[Identity, float] = {}

    async def run(self) -> NoReturn:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._turning(), name="logs")
            group.create_task(self._clearing(), name="remains")
        raise AssertionError("only cancellation ends it")

    async def begin(self) -> None:
        """At the start of a life nothing is in work: directories of what nobody knows go too."""
        containers, sandboxes = await self._look()
        await self._forget(await self._strays({*containers, *sandboxes}))
        await self._clear(containers, sandboxes)

    async def _turning(self) -> NoReturn:
        while True:
            await self._clock.sleep(self._options.log_look_seconds)
            try:
                for handle in await asyncio.to_thread(self._places.long_logs, self._options.log_mib):
                    await self._turn(handle)
            except ZunError as error:
                _log.warning("turning logs over, trying again: %s", error)

    async def _clearing(self) -> NoReturn:
        seen_before: set[str] = set()
        while True:
            await self._clock.sleep(self._options.upkeep_seconds)
            try:
                containers, sandboxes = await self._look()
                await self._clear(containers, sandboxes)
                strays = await self._strays({*containers, *sandboxes})
                await self._forget(strays & seen_before)
                seen_before = strays
                await self._orphans.clear()
                await self._lost.clear()
            except ZunError as error:
                _log.warning("clearing remains away, trying again: %s", error)

    async def _turn(self, handle: str) -> None:
        """Rename the log and let the engine begin a new one; one that nobody writes now is only renamed."""
        async with self._attempts.lock(handle):
            try:
                which = identity_of(handle)
                status, _ = await self._attempts.shown(which)
            except NotFound:
                return
            self._places.turn_log(handle)
            if status.state == cri.CONTAINER_RUNNING:
                await self._calls.reopen_log(
                    cri.ReopenContainerLogRequest(container_id=status.id), "begin a new log file"
                )

    async def _look(self) -> tuple[dict[Identity, list[cri.Container]], dict[Identity, list[cri.PodSandbox]]]:
        containers = await self._attempts.all()
        sandboxes: dict[Identity, list[cri.PodSandbox]] = {}
        for sandbox in await self._sandboxes.list():
            which = labels.identity(sandbox.labels, self._owner)
            if which is not None:
                sandboxes.setdefault(which, []).append(sandbox)
        return containers, sandboxes

    async def _clear(
        self, containers: dict[Identity, list[cri.Container]], sandboxes: dict[Identity, list[cri.PodSandbox]]
    ) -> None:
        now = self._clock.monotonic()
        self._ended = {which: since for which, since in self._ended.items() if which in containers}
        for which in {*containers, *sandboxes}:
            attempts, homes = containers.get(which, []), sandboxes.get(which, [])
            lock = self._attempts.lock(which.handle)
            if lock.locked() or not (self._is_untidy(attempts, homes) or self._is_idle(which, attempts, homes, now)):
                continue
            async with lock:
                try:
                    await self._clear_one(which, now)
                except ZunError as error:  # the engine may still be at what an earlier life asked for
                    _log.warning("clearing away what is left of container %s, trying again: %s", which.uuid, error)

    async def _clear_one(self, which: Identity, now: float) -> None:
        attempts, homes = await self._attempts.of(which), await self._sandboxes.list(which)
        await self._tidy(which, attempts, homes)
        if self._is_idle(which, attempts, homes, now):
            _log.info("letting go of the sandbox of container %s, which has ended", which.uuid)
            await self._sandboxes.stop(attempts[-1].pod_sandbox_id)

    async def _strays(self, present: set[Identity]) -> set[str]:
        """Of what is kept, that of containers and capsules that are gone: a removal found processes of theirs, or was cut off."""
        kept = await asyncio.to_thread(self._places.known) - {which.handle for which in present}
        pods = [labels.capsule(sandbox.labels, self._owner) for sandbox in await self._sandboxes.of_capsules()]
        return kept - {which.handle for which in pods if which is not None}

    async def _forget(self, strays: set[str]) -> None:
        for handle in strays:
            lock = self._attempts.lock(handle)
            if not lock.locked():
                async with lock:
                    await asyncio.to_thread(self._places.forget, handle)

    async def _tidy(self, which: Identity, attempts: list[cri.Container], homes: list[cri.PodSandbox]) -> None:
        kept = attempts
        if _is_many(attempts) and not never_ran(await self._attempts.status(attempts[-1].id)):
            *older, newest = attempts
            for old in older:
                _log.warning("removing an attempt of container %s that another has replaced", which.uuid)
                self._attempts.replace(which, old)
                await self._calls.remove(cri.RemoveContainerRequest(container_id=old.id), "remove the container")
            kept = [newest]
        for sandbox in homes:
            if sandbox.id not in {one.pod_sandbox_id for one in kept}:
                _log.warning("removing a sandbox of container %s that holds nothing", which.uuid)
                await self._sandboxes.discard(sandbox.id)
        if not kept and homes:
            await asyncio.to_thread(self._places.forget, which.handle)

    @staticmethod
    def _is_untidy(attempts: list[cri.Container], homes: Iterable[cri.PodSandbox]) -> bool:
        return _is_many(attempts) or bool(
            {home.id for home in homes} - {attempt.pod_sandbox_id for attempt in attempts}
        )

    def _is_idle(
        self, which: Identity, attempts: list[cri.Container], homes: Iterable[cri.PodSandbox], now: float
    ) -> bool:
        """Whether it ended long enough ago, as far as these looks tell, and still has a sandbox that is up."""
        if len(attempts) != 1 or attempts[0].state != cri.CONTAINER_EXITED:
            self._ended.pop(which, None)
            return False
        up = any(home.id == attempts[0].pod_sandbox_id and home.state == cri.SANDBOX_READY for home in homes)
        return up and now - self._ended.setdefault(which, now) >= self._options.idle_sandbox_seconds


def _is_many(attempts: list[cri.Container]) -> bool:
    """Whether the newest seems to have taken the place of others. One that did not run may still lack their files."""
    return len(attempts) > 1 and has_begun(attempts[-1])
