# SPDX-License-Identifier: Apache-2.0
"""The sandboxes of this machine: bound as their attachments say, as long as they live, and not a moment longer.

What concerns one sandbox is done one thing after the other, different sandboxes side by side. Before anything is made it is in the
journal, so a daemon that was killed undoes what nobody was told of, and goes on with the rest. Between two sandboxes nothing is shared
but their bridge: it stays while somebody is on it, and a round of `tidy` longer.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import msgspec

from zun.base.keyed_locks import KeyedLocks
from zun.cni import binding, claims, namespaces
from zun.cni.asking import ENGINES_IFNAME, Ask
from zun.cni.bridges import bridge_of
from zun.cni.firewall.firewall import Firewall
from zun.cni.firewall.ruleset import elements_of
from zun.cni.journal import Bound, Journal, Phase
from zun.cni.used_bridges import UsedBridges
from zun.cni.workers import Workers
from zun.drivers.network.cni.spool import Spool
from zun.model.attachments import Attachment, SandboxNetwork, check_sandbox
from zun.model.errors import Conflict, Invalid, NotFound, ZunError

_LOG = logging.getLogger(__name__)


class Sandboxes:
    """All sandboxes. Raises `ZunError`, and `OSError` when the disk does not take the journal."""

    def __init__(self, journal: Journal, spool: Spool, firewall: Firewall, workers: Workers) -> None:
        self._journal = journal
        self._spool = spool
        self._firewall = firewall
        self._workers = workers
        self._bound: dict[str, Bound] = {}
        self._container_of: dict[str, str] = {}
        self._locks: KeyedLocks[str] = KeyedLocks()
        self._bridges = UsedBridges(workers, self._used)

    def keys(self) -> list[str]:
        """Whose sandboxes are bound."""
        return sorted(self._container_of)

    def remembered(self) -> list[Bound]:
        """All of them."""
        return list(self._bound.values())

    async def add(self, ask: Ask) -> Bound:
        """Bind a sandbox as its attachments say. Doing it again changes nothing. Raises `ZunError`."""
        async with self._locks.holding(ask.key):
            sandbox, namespace = await self._workers.do(lambda _: (self._spool.read(ask.key), _identity(ask.netns)))
            check_sandbox(sandbox)
            _check_ifname(ask, sandbox)
            current = self._of(ask.key)
            same = (current.container_id, current.namespace) == (ask.container_id, namespace) if current else False
            if current is not None and same and current.phase is Phase.BOUND:
                if current.netns != ask.netns:  # the same namespace, found another way: the former may be about to go
                    current = msgspec.structs.replace(current, netns=ask.netns)
                    self._remember(current)
                return await self._change(current, sandbox)
            if current is not None:
                await self._unbind(current)
            return await self._bind_new(
                Bound(
                    container_id=ask.container_id,
                    netns=ask.netns,
                    namespace=namespace,
                    sandbox=sandbox,
                    phase=Phase.BINDING,
                    boot_id=self._journal.boot_id,
                )
            )

    async def delete(self, ask: Ask) -> None:
        """Nothing of the engine's sandbox is left. One that is unknown, or was taken over by a later one, is no error. Raises `ZunError`."""
        known = self._bound.get(ask.container_id)
        async with self._locks.holding(known.key if known is not None else ask.key or ask.container_id):
            bound = self._bound.get(ask.container_id)
            if bound is not None:
                await self._unbind(bound)
            else:
                await self._workers.do(lambda deadline: binding.unmake(ask.container_id, [ask.ifname], deadline))

    async def problems(self, ask: Ask) -> tuple[Bound, list[str]]:
        """What is wrong with a sandbox. Raises `NotFound` for one that is not bound."""
        bound = self._bound.get(ask.container_id)
        if bound is None:
            raise NotFound(f"Sandbox {ask.key or ask.container_id} is not bound; the engine has to ADD it.")
        async with self._locks.holding(bound.key):
            return bound, await self._workers.do(lambda deadline: binding.problems(bound, deadline))

    async def sync(self, key: str) -> None:
        """Make a living sandbox what its attachments say by now. Raises `NotFound` when it is not bound."""
        async with self._locks.holding(key):
            bound = self._of(key)
            if bound is None or not await self._workers.do(lambda _: binding.is_alive(bound)):
                raise NotFound(f"Sandbox {key} does not run; it is plugged in when it starts.")
            sandbox = await self._workers.do(lambda _: self._spool.read(key))
            check_sandbox(sandbox)
            await self._change(bound, sandbox)

    async def release(self, key: str) -> None:
        """Nothing of the agent's sandbox is left, whatever the engine says. Unknown is no error."""
        async with self._locks.holding(key):
            bound = self._of(key)
            if bound is not None:
                await self._unbind(bound)

    async def recover(self, uplinks: Iterable[str]) -> None:
        """Go on after a start: the filter first, then half-made ones away, lost ones repaired, and what belongs to nobody removed."""
        for bound in await self._workers.do(lambda _: self._journal.load()):
            self._bound[bound.container_id] = bound
            self._container_of[bound.key] = bound.container_id
        await self._firewall.replace([(one.container_id, elements_of(one)) for one in self._bound.values()], uplinks)
        await self._workers.do(lambda deadline: binding.remove_strays(self._bound.values(), deadline))
        await self.tidy()

    async def tidy(self) -> None:
        """Undo what was left half made or has ended, repair what somebody removed, remove bridges that nobody is on."""
        for key in list(self._container_of):
            async with self._locks.holding(key):
                bound = self._of(key)
                if bound is not None:
                    await self._tidy(bound)
        await self._bridges.tidy()

    # One sandbox, with its lock held.

    async def _bind_new(self, wanted: Bound) -> Bound:
        other = self._bound.get(wanted.container_id)
        if other is not None:
            raise Conflict(f"The engine's sandbox {wanted.container_id} is that of {other.key}; an id has one sandbox.")
        claims.refuse_conflicts(wanted, self._bound.values())
        await self._workers.do(lambda _: claims.refuse_listeners(wanted.sandbox.attachments))
        self._remember(wanted)
        try:
            await self._plug(wanted, wanted.sandbox.attachments)
        except (ZunError, OSError):
            await self._undo(wanted)
            raise
        bound = msgspec.structs.replace(wanted, phase=Phase.BOUND)
        self._remember(bound)
        return bound

    async def _undo(self, bound: Bound) -> None:
        try:
            await self._unbind(bound)
        except (ZunError, OSError) as error:
            _LOG.warning("sandbox %s is left half made for now: %s", bound.key, error)

    async def _unbind(self, bound: Bound) -> None:
        await _all_of(
            self._firewall.drop(bound.container_id),
            self._workers.do(
                lambda deadline: binding.unmake_all(bound.container_id, bound.sandbox.attachments, deadline)
            ),
        )
        self._journal.remove(bound.container_id)
        del self._bound[bound.container_id], self._container_of[bound.key]

    async def _change(self, bound: Bound, sandbox: SandboxNetwork) -> Bound:
        before = {attachment.ifname: attachment for attachment in bound.sandbox.attachments}
        after = {attachment.ifname: attachment for attachment in sandbox.attachments}
        gone = [one for one in before.values() if after.get(one.ifname) != one]
        fresh = [one for one in after.values() if before.get(one.ifname) != one]
        changed = msgspec.structs.replace(bound, sandbox=sandbox)
        if not gone and not fresh:
            await self._restore(bound)
            if changed != bound:
                self._remember(changed)
            return changed
        claims.refuse_conflicts(changed, self._bound.values())
        held = {port for one in before.values() for port in one.published}
        await self._workers.do(lambda _: claims.refuse_listeners(fresh, held))
        kept = [one for one in before.values() if one not in gone]
        self._remember(_with(bound, [*before.values(), *fresh]))
        try:
            await self._workers.do(lambda deadline: binding.unmake_all(bound.container_id, gone, deadline))
            await self._plug(changed, fresh)
        except (ZunError, OSError):
            lost = [*gone, *fresh]
            await self._workers.do(lambda deadline: binding.unmake_all(bound.container_id, lost, deadline))
            await self._firewall.put(bound.container_id, elements_of(_with(bound, kept)))
            self._remember(_with(bound, kept))
            raise
        self._remember(changed)
        return changed

    async def _plug(self, bound: Bound, fresh: Sequence[Attachment]) -> None:
        await _all_of(
            self._firewall.put(bound.container_id, elements_of(bound)),
            self._make(bound, fresh),
        )

    async def _make(self, bound: Bound, fresh: Sequence[Attachment]) -> None:
        for attachment in fresh:
            await self._bridges.ensure(bridge_of(attachment))
        await self._workers.do(lambda deadline: binding.make(bound, fresh, deadline))

    async def _restore(self, bound: Bound) -> list[str]:
        for attachment in bound.sandbox.attachments:
            await self._bridges.look_again(bridge_of(attachment))
        return await self._workers.do(lambda deadline: binding.repair(bound, deadline))

    async def _tidy(self, bound: Bound) -> None:
        try:
            if bound.phase is Phase.BINDING or not await self._workers.do(lambda _: binding.is_alive(bound)):
                await self._unbind(bound)
                return
            wanted = await self._wanted(bound)
            if wanted.attachments != bound.sandbox.attachments:
                bound = await self._change(bound, wanted)
            repaired = await self._restore(bound)
        except (ZunError, OSError) as error:
            _LOG.warning("sandbox %s is not as it should be, and is looked at again later: %s", bound.key, error)
        else:
            if repaired:
                _LOG.warning("sandbox %s had lost %s, which is put back", bound.key, ", ".join(repaired))

    async def _wanted(self, bound: Bound) -> SandboxNetwork:
        """What the agent wants of it by now, which it may have said while the daemon was away."""
        try:
            sandbox = await self._workers.do(lambda _: self._spool.read(bound.key))
        except NotFound:
            return bound.sandbox  # the agent has let go of it already; the engine will
        check_sandbox(sandbox)
        return sandbox

    def _remember(self, bound: Bound) -> None:
        self._journal.write(bound)
        self._bound[bound.container_id] = bound
        self._container_of[bound.key] = bound.container_id

    def _of(self, key: str) -> Bound | None:
        return self._bound.get(self._container_of.get(key, ""))

    def _used(self) -> set[str]:
        return {bridge_of(one).name for bound in self._bound.values() for one in bound.sandbox.attachments}


def _check_ifname(ask: Ask, sandbox: SandboxNetwork) -> None:
    """What its interfaces are called the control plane decides, for they come and go; an engine that insists on another name is refused."""
    first = sandbox.attachments[0].ifname if sandbox.attachments else ""
    if ask.ifname and ask.ifname not in {first, ENGINES_IFNAME}:
        named = ", ".join(attachment.ifname for attachment in sandbox.attachments) or "none"
        raise Invalid(f"The engine asks for interface {ask.ifname}; sandbox {ask.key} begins with: {named}.")


def _identity(netns: str) -> str:
    with namespaces.opened(netns) as descriptor:
        return namespaces.identity(descriptor)


def _with(bound: Bound, attachments: Iterable[Attachment]) -> Bound:
    sandbox = msgspec.structs.replace(bound.sandbox, attachments=tuple(attachments))
    return msgspec.structs.replace(bound, sandbox=sandbox)


async def _all_of(*works: Coroutine[Any, Any, None]) -> None:
    """Do several things side by side and wait for all, also when one fails. Raises the first error."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
