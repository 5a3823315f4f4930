# SPDX-License-Identifier: Apache-2.0
"""Whose containers are on which node, and which of them are not shut into a sandbox."""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from zun.model.container import ContainerSpec
from zun.store import codec


class Tenant(msgspec.Struct, frozen=True):
    """Whose a container or capsule is, and what all of it runs under: None for the engine's own choice, for one with rights over the host, which no
    sandbox holds, and for a capsule of which not every container names its runtime: engines differ in what such a one runs under."""

    project_id: str
    runtime: str | None = None


class _Spec(msgspec.Struct):
    runtime: str | None = None
    privileged: bool = False


class _Child(msgspec.Struct):
    spec: _Spec


class _Wish(msgspec.Struct):
    """As much of a wish as is asked for here: all places are read when a leader begins."""

    project_id: str
    spec: _Spec
    children: list[_Child] = []


def tenant_in(wish: bytes) -> Tenant:
    """Read from a wish as it is stored. Raises `Internal` when it is damaged."""
    read = codec.decode(_Wish, wish)
    return Tenant(read.project_id, held_under(read.spec, [child.spec for child in read.children]))


def held_under(spec: _Spec | ContainerSpec, children: Sequence[_Spec | ContainerSpec]) -> str | None:
    """What all of a container, or of a capsule with its containers, runs under (as `Tenant` says)."""
    kept = all(one.runtime == spec.runtime and not one.privileged for one in (spec, *children))
    return spec.runtime if kept else None


class Tenants:
    """Counts containers by node and project. `sandboxes` are the runtimes that count as one; without isolation nobody asks, and nothing is counted."""

    def __init__(self, sandboxes: Collection[str] = (), *, isolated: bool = True) -> None:
        self._isolated = isolated
        self._sandboxes = frozenset(sandboxes)
        self._all: dict[str, dict[str, int]] = {}
        self._exposed: dict[str, dict[str, int]] = {}
        self._nodes: dict[str, dict[str, int]] = {}

    def sandboxed(self, tenant: Tenant) -> bool:
        """Whether it runs in a sandbox."""
        return tenant.runtime in self._sandboxes

    def come(self, node: str, tenant: Tenant) -> None:
        """Count one more container."""
        self._count(node, tenant, 1)

    def go(self, node: str, tenant: Tenant) -> None:
        """Count it no longer."""
        self._count(node, tenant, -1)

    def others(self, node: str, project_id: str) -> bool:
        """Whether another project has anything on the node."""
        return _others(self._all.get(node), project_id)

    def exposed_others(self, node: str, project_id: str) -> bool:
        """Whether another project has anything there that is not in a sandbox."""
        return _others(self._exposed.get(node), project_id)

    def nodes_of(self, project_id: str) -> Iterable[str]:
        """Where a project has anything."""
        return self._nodes.get(project_id, ())

    def _count(self, node: str, tenant: Tenant, change: int) -> None:
        if not self._isolated:
            return
        _add(self._all, node, tenant.project_id, change)
        _add(self._nodes, tenant.project_id, node, change)
        if not self.sandboxed(tenant):
            _add(self._exposed, node, tenant.project_id, change)


def _others(there: dict[str, int] | None, project_id: str) -> bool:
    return there is not None and (len(there) > 1 or project_id not in there)


def _add(counts: dict[str, dict[str, int]], key: str, of: str, change: int) -> None:
    """What falls to nothing is forgotten."""
    inner = counts.get(key)
    if inner is None:
        inner = counts[key] = {}
    left = inner.get(of, 0) + change
    if left:
        inner[of] = left
        return
    del inner[of]
    if not inner:
        del counts[key]
