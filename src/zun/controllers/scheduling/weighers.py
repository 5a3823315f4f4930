# SPDX-License-Identifier: Apache-2.0
"""Which of the nodes that could have a container is the best one: the highest score wins."""

from typing import Protocol

from zun.controllers.scheduling.cluster import NodeState
from zun.controllers.scheduling.requests import Request


class Weigher(Protocol):
    """An order among nodes."""

    def score(self, request: Request, node: NodeState) -> float:
        """How well the node suits; higher is better."""


class SpreadWeigher:
    """Keep every node equally free: the share of cpu and memory that would stay free there."""

    def score(self, request: Request, node: NodeState) -> float:
        """The mean of both shares, from 0 (full) to 1 (empty)."""
        memory = node.facts.memory_mib
        memory_share = (memory - node.memory_mib - request.memory_mib) / memory if memory else 0.0
        if request.dedicated:
            cpus = len(node.facts.dedicated)
            cpu_share = (cpus - len(node.taken_cpus) - request.dedicated) / cpus if cpus else 0.0
        else:
            shared = node.shared_millicpus
            cpu_share = (shared - node.millicpus - request.millicpus) / shared if shared else 0.0
        return (cpu_share + memory_share) / 2


class PackWeigher:
    """Fill nodes one after the other, so that others stay free for large containers or can be switched off."""

    def __init__(self) -> None:
        self._spread = SpreadWeigher()

    def score(self, request: Request, node: NodeState) -> float:
        """The opposite of spreading."""
        return -self._spread.score(request, node)


WEIGHERS: dict[str, type[Weigher]] = {"spread": SpreadWeigher, "pack": PackWeigher}
"""By the name that the option `weigher` takes."""
