# SPDX-License-Identifier: Apache-2.0
"""The plan: which node gets a container, or why none can. Pure: it changes nothing and asks nobody.

In a large cluster it walks along the shuffled ring from `start` until it has found `sample_size` nodes that pass, and takes the
best of them. The walk ends only when the whole ring was seen, so whatever fits somewhere is placed.

A container whose project must have its node for itself goes to a node that the project has already, while one can have it: an
empty one more would be lost to all others.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec

from zun.controllers.scheduling.addresses import address_keys
from zun.controllers.scheduling.cluster import Cluster, NodeState
from zun.controllers.scheduling.explaining import Looked, Refusals, refusal, why
from zun.controllers.scheduling.filters import FILTERS, Filter, IsolationFilter, isolating
from zun.controllers.scheduling.filters.ports import PortsFilter, WayInFilter
from zun.controllers.scheduling.options import SchedulerOptions
from zun.controllers.scheduling.pools import claims_of
from zun.controllers.scheduling.ports import HostPorts, port_keys
from zun.controllers.scheduling.requests import Request
from zun.controllers.scheduling.weighers import WEIGHERS, Weigher
from zun.model.attachments import Attachment, PublishedPort
from zun.model.records import Claim

_RESTARTING = 10.0
"""What a node whose agent restarts loses in the order: more than any score, so that it gets what no other node can have."""


class Placement(msgspec.Struct, frozen=True):
    """A node for a container, what it takes there, the keys of its addresses and of ports of the node, and why it is this node.

    `seen` is how far it walked along the ring; `attachments` are its interfaces where they are the control plane's business, else None;
    `published` are its ports of the node.
    """

    node: str
    claim: Claim
    addresses: tuple[str, ...]
    why: str
    seen: int
    attachments: list[Attachment] | None = None
    published: tuple[PublishedPort, ...] = ()


class NoPlace(msgspec.Struct, frozen=True):
    """No node can have it; `detail` says why, with the nodes counted by reason."""

    detail: str


class _Search(msgspec.Struct):
    """What a walk found: the best node, how many passed of how many seen, and who was refused."""

    best: NodeState | None
    found: int
    seen: int
    refused: Refusals


class Planner:
    """Plans one container at a time against a cluster."""

    def __init__(self, options: SchedulerOptions) -> None:
        self._sample_size = options.sample_size
        self._sample_above = options.sample_above
        mode = options.tenant_isolation
        self._isolation = IsolationFilter(mode) if mode != "none" else None
        filters = FILTERS if self._isolation is None else isolating(self._isolation)
        self._ports = HostPorts(options.ports())
        self._filters: Sequence[Filter] = (*filters, WayInFilter(), PortsFilter(self._ports))
        self._weigher: Weigher = WEIGHERS[options.weigher]()

    def plan(self, cluster: Cluster, request: Request, start: int = 0) -> Placement | NoPlace:
        """Find a node, looking at the ring from place `start` on. Among equals the first one seen wins."""
        ring = cluster.ring
        wanted = len(ring) if len(ring) <= self._sample_above else self._sample_size
        filters = [one for one in self._filters if one.applies(request)]
        walked = 0
        search = self._among_own(filters, request, cluster, wanted)
        if search is None:
            search = self._walk(_around(ring, start), filters, request, cluster, wanted)
            walked = search.seen
        best = search.best
        if best is None:
            return NoPlace(refusal(request, len(ring), search.refused))
        claim = request.claim(tuple(best.free_cpus[: request.dedicated]))
        attachments = cluster.networks.grant(request) if best.facts.cni else None
        addresses = address_keys(request, best.facts) if attachments is None else claims_of(attachments)
        published = self._ports.grant(request, best.facts, cluster)
        if published is None:
            raise AssertionError("the node passed the filter of ports")
        words = why(best, claim, Looked(search.found, search.seen, len(ring)), search.refused)
        taken = (*addresses, *port_keys(best.name, published))
        return Placement(best.name, claim, taken, words, walked, attachments, tuple(published))

    def _among_own(self, filters: Sequence[Filter], request: Request, cluster: Cluster, wanted: int) -> _Search | None:
        """Among the nodes of its project, for a container that must be alone with that; None when it may be anywhere or none of them will do."""
        if self._isolation is None or not self._isolation.alone(request, cluster):
            return None
        own = (
            node for name in cluster.tenants.nodes_of(request.project_id) if (node := cluster.node(name)) is not None
        )
        search = self._walk(own, filters, request, cluster, wanted)
        return search if search.best is not None and not search.best.facts.restarting else None

    def _walk(
        self, nodes: Iterable[NodeState], filters: Sequence[Filter], request: Request, cluster: Cluster, wanted: int
    ) -> _Search:
        """Look at nodes until enough have passed."""
        refused: Refusals = {}
        best: NodeState | None = None
        best_score = 0.0
        found = seen = 0
        for node in nodes:
            seen += 1
            if not self._passes(filters, request, node, cluster, refused):
                continue
            score = self._weigher.score(request, node) - (_RESTARTING if node.facts.restarting else 0.0)
            if best is None or score > best_score:
                best, best_score = node, score
            found += 1
            if found == wanted:
                break
        return _Search(best, found, seen, refused)

    def _passes(
        self, filters: Sequence[Filter], request: Request, node: NodeState, cluster: Cluster, refused: Refusals
    ) -> bool:
        for one in filters:
            if not one.check(request, node, cluster):
                refused.setdefault(one, []).append(node)
                return False
        return True


def _around(ring: Sequence[NodeState], start: int) -> Iterable[NodeState]:
    """The whole ring from a place on."""
    first = start % len(ring) if ring else 0
    return map(ring.__getitem__, chain(range(first, len(ring)), range(first)))
