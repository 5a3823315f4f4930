# SPDX-License-Identifier: Apache-2.0
"""Attempts: the engine's containers that stand for one container of ours, one after the other.

Usually there is one. While a container is started again there are two, the one that ended and the one that is to take its place; until
that has begun, the ended one is what the container *is*. The engine's death may leave more; each may hold files of the container.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple, TypeVar
from weakref import WeakValueDictionary

from zun.drivers.runtime.cri import containerd_pb2 as cd
from zun.drivers.runtime.cri import cri_pb2 as cri
from zun.drivers.runtime.cri import labels
from zun.drivers.runtime.cri.calls import ContainerdCalls, RuntimeCalls
from zun.drivers.runtime.cri.handles import Identity
from zun.model.errors import Conflict, NotFound

T = TypeVar("T")

_REMEMBERED = 20_000


class Owned(NamedTuple):
    """Whose attempt one of the engine's containers is, and the sandbox it lies in."""

    which: Identity
    sandbox_id: str
    replaced: bool = False  # another attempt has taken its place
    capsule: str = ""  # of which it is a container, or the sandbox: then `which` has no uuid


class Attempts:
    """Finds attempts, and remembers which of the engine's ids belong to whom."""

    def __init__(self, calls: RuntimeCalls, containerd: ContainerdCalls, owner: str) -> None:
        self._calls = calls
        self._containerd = containerd
        self._owner = owner
        self._shown: dict[str, str] = {}
        self._pids: OrderedDict[str, int] = OrderedDict()
        self._owners: OrderedDict[str, Owned | None] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, handle: str) -> asyncio.Lock:
        """Held while a container is made, started or removed."""
        return self._locks.setdefault(handle, asyncio.Lock())

    async def of(self, which: Identity) -> list[cri.Container]:
        """All there are of one container, the oldest first."""
        return _ordered(await self._list(labels.selector(self._owner, which)))

    async def all(self) -> dict[Identity, list[cri.Container]]:
        """All of the owner's containers with their attempts, the oldest first."""
        found: dict[Identity, list[cri.Container]] = {}
        for container in _ordered(await self._list(labels.selector(self._owner))):
            which = labels.identity(container.labels, self._owner)
            if which is not None:
                self.know(container, which)
                found.setdefault(which, []).append(container)
        return found

    async def of_capsule(self, which: Identity) -> set[Identity]:
        """The containers of one capsule."""
        found = await self._list(labels.member_selector(self._owner, which))
        known = (labels.identity(container.labels, self._owner) for container in found)
        return {one for one in known if one is not None}

    async def status(self, container_id: str) -> cri.ContainerStatus:
        """One attempt now. Raises `NotFound`."""
        request = cri.ContainerStatusRequest(container_id=container_id)
        return (await self._calls.container_status(request, "show the container")).status

    async def shown(self, which: Identity) -> tuple[cri.ContainerStatus, str]:
        """The attempt that a container is now, and its sandbox. Raises `NotFound`."""
        remembered = self._shown.get(which.handle)
        if remembered is not None and (owned := self._owners.get(remembered)) is not None:
            try:
                return await self.status(remembered), owned.sandbox_id
            except NotFound:
                self._shown.pop(which.handle, None)
        found = await self.of(which)
        if not found:
            raise NotFound(f"There is no container {which.handle} here; list the containers.")
        chosen = shown_of(found)
        status = await self.status(chosen.id)
        self.show(which, chosen)
        return status, chosen.pod_sandbox_id

    async def running(self, which: Identity, what: str) -> cri.ContainerStatus:
        """The same, when it runs. Raises `Conflict` when it does not, with `what` needs it to."""
        status, _ = await self.shown(which)
        if status.state != cri.CONTAINER_RUNNING:
            raise Conflict(f"The container does not run, so {what}; start it first.")
        return status

    async def pid(self, container_id: str) -> int:
        """The machine's number of the first process of a running attempt: the same for its life, so it is asked for once.

        Raises `NotFound` when it does not run and was never asked for. Of one that has just ended the number may be told still: whoever
        acts on it looks whether the process is in the container's control group.
        """
        known = self._pids.get(container_id)
        if known is None:
            request = cd.GetRequest(container_id=container_id)
            known = (await self._containerd.task(request, "show the process")).process.pid
            if known:
                _keep(self._pids, container_id, known)
        return known

    def show(self, which: Identity, container: cri.Container) -> None:
        """From now on this attempt is what the container is."""
        before = self._shown.get(which.handle, container.id)
        owned = self._owners.get(before)
        if before != container.id and owned is not None:
            self._remember(before, owned._replace(replaced=True))
        self._shown[which.handle] = container.id
        self.know(container, which)

    def replace(self, which: Identity, container: cri.Container) -> None:
        """Another attempt has taken its place: its removal is not the container's."""
        self._remember(container.id, Owned(which, container.pod_sandbox_id, replaced=True, capsule=_capsule(container)))

    def is_replaced(self, container_id: str) -> bool:
        """Whether another attempt has taken its place."""
        owned = self._owners.get(container_id)
        return owned is not None and owned.replaced

    def forget(self, which: Identity) -> None:
        """It is gone, or must be looked for again."""
        self._shown.pop(which.handle, None)

    def know(self, container: cri.Container, which: Identity) -> None:
        """Remember whose attempt it is, also for when it is gone."""
        self._remember(container.id, Owned(which, container.pod_sandbox_id, capsule=_capsule(container)))

    async def whose(self, container_id: str) -> Identity | None:
        """Whose attempt it is; None for what is not ours."""
        if container_id not in self._owners:
            self._remember(container_id, await self._find_owner(container_id))
        owned = self._owners[container_id]
        return owned.which if owned is not None else None

    async def is_sandbox_ready(self, sandbox_id: str) -> bool:
        """Whether a sandbox holds, as far as the CRI knows."""
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(id=sandbox_id))
        found = (await self._calls.list_sandboxes(request, "list the sandboxes")).items
        return any(one.state == cri.SANDBOX_READY for one in found)

    def capsule_of(self, container_id: str) -> str:
        """The capsule that it is of, as far as `whose` has found out; "" for a container that stands alone."""
        owned = self._owners.get(container_id)
        return owned.capsule if owned is not None else ""

    async def _find_owner(self, container_id: str) -> Owned | None:
        request = cri.ListContainersRequest(filter=cri.ContainerFilter(id=container_id))
        for found in (await self._calls.list_containers(request, "list the containers")).containers:
            which = labels.identity(found.labels, self._owner)
            return Owned(which, found.pod_sandbox_id, capsule=_capsule(found)) if which is not None else None
        return await self._find_sandbox(container_id)

    async def _find_sandbox(self, sandbox_id: str) -> Owned | None:
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(id=sandbox_id))
        for found in (await self._calls.list_sandboxes(request, "list the sandboxes")).items:
            which = labels.capsule(found.labels, self._owner)
            if which is not None:
                return Owned(Identity("", which.generation), sandbox_id, capsule=which.uuid)
        return None  # a container's own sandbox, or gone before anybody asked

    def _remember(self, container_id: str, owned: Owned | None) -> None:
        _keep(self._owners, container_id, owned)

    async def _list(self, selector: dict[str, str]) -> list[cri.Container]:
        request = cri.ListContainersRequest(filter=cri.ContainerFilter(label_selector=selector))
        return list((await self._calls.list_containers(request, "list the containers")).containers)


def _keep(known: OrderedDict[str, T], name: str, what: T) -> None:
    """The newest are remembered."""
    known[name] = what
    while len(known) > _REMEMBERED:
        known.popitem(last=False)


def _capsule(container: cri.Container) -> str:
    return container.labels.get(labels.CAPSULE, "")


def has_begun(attempt: cri.Container) -> bool:
    """Whether it ran, or at least tried to. The engine's death in the middle of making one leaves it in a state called unknown."""
    return attempt.state in {cri.CONTAINER_RUNNING, cri.CONTAINER_EXITED}


def shown_of(attempts: list[cri.Container]) -> cri.Container:
    """What a container with these attempts is: the newest that has begun, or the newest where none has."""
    return ([one for one in attempts if has_begun(one)] or attempts)[-1]


def _ordered(found: Iterable[cri.Container]) -> list[cri.Container]:
    return sorted(found, key=lambda one: (one.metadata.attempt, one.created_at))
