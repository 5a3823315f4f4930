# SPDX-License-Identifier: Apache-2.0
"""Plans in words: why this node, or why none."""

import msgspec

from zun.controllers.scheduling.cluster import NodeState
from zun.controllers.scheduling.filters import Filter
from zun.controllers.scheduling.requests import Request
from zun.model.records import Claim

Refusals = dict[Filter, list[NodeState]]
"""The nodes that did not pass, each under the first filter that refused it."""


def refusal(request: Request, total: int, refused: Refusals) -> str:
    """Why no node can have it: "3 of 5 nodes: not enough memory (…); 2 of 5 nodes: disabled.". The counts add up."""
    if not total:
        return "No node is registered."
    nodes = "node" if total == 1 else "nodes"
    by_count = sorted(refused.items(), key=lambda item: -len(item[1]))
    reasons = [f"{len(some)} of {total} {nodes}: {one.explain(request, some)}" for one, some in by_count]
    return "; ".join(reasons) + "."


class Looked(msgspec.Struct, frozen=True):
    """How a plan was found: `found` nodes passed of the `seen` ones of `total`."""

    found: int
    seen: int
    total: int


def why(node: NodeState, claim: Claim, looked: Looked, refused: Refusals) -> str:
    """Why this node: how many could have had it, who was excluded and why, and what stays free there."""
    among = f"best of {looked.found} candidates" if looked.found > 1 else "the only candidate"
    if looked.seen < looked.total:
        among += f" among {looked.seen} of {looked.total} nodes"
    excluded = sum(map(len, refused.values()))
    if excluded:
        among += f" ({excluded} excluded: {', '.join(f'{len(some)} {one.words}' for one, some in refused.items())})"
    return f"{node.name}, {among}; {_left(node, claim)}"


def _left(node: NodeState, claim: Claim) -> str:
    memory = _percent(node.free_memory_mib - claim.memory_mib, node.facts.memory_mib)
    if claim.cpuset is not None:
        return f"cpus {claim.cpuset} for itself, {memory} % of memory stay free"
    cpu = _percent(node.free_millicpus - claim.millicpus, node.shared_millicpus)
    return f"{cpu} % of cpu and {memory} % of memory stay free"


def _percent(part: int, whole: int) -> int:
    return 100 * part // whole if whole else 0
