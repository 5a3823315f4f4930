# SPDX-License-Identifier: Apache-2.0
"""How many placements a second the planner makes on 5,000 nodes, and whether sampling spoils the balance.

    python benchmarks/placements.py [--nodes 5000] [--containers 50000] [--json]

Each placement is planned and its claim is counted before the next, in one process, as the scheduling loop does.
"""

import argparse
import json
import random
import statistics
import time

import msgspec

from zun.controllers.scheduling.cluster import Cluster, Held, NodeFacts
from zun.controllers.scheduling.options import SchedulerOptions
from zun.controllers.scheduling.planner import Placement, Planner
from zun.controllers.scheduling.requests import Request

EVERY_NODE = 100_000


class Measured(msgspec.Struct):
    """One run: speed, and how evenly the claimed cpu lies on the nodes (share of each node, in percent)."""

    what: str
    placements: int
    per_second: float
    mean: float
    deviation: float
    lowest: float
    highest: float


def a_cluster(nodes: int, seed: int) -> Cluster:
    """Equal nodes of 64 cpus and 256 GiB."""
    cluster = Cluster(random.Random(seed))
    for number in range(nodes):
        cluster.describe(NodeFacts(name=f"node-{number:05}", millicpus=64_000, memory_mib=262_144, zone="nova"))
    return cluster


def requests(count: int, seed: int) -> list[Request]:
    """Containers of mixed sizes."""
    rng = random.Random(seed)
    sizes = [(100, 128), (250, 256), (500, 512), (1000, 1024), (2000, 4096), (4000, 8192)]
    return [
        Request(uuid=f"c{number}", millicpus=cpu, memory_mib=memory)
        for number, (cpu, memory) in enumerate(rng.choices(sizes, k=count))
    ]


def measure(what: str, nodes: int, wanted: list[Request], options: SchedulerOptions) -> Measured:
    """Place all, then look at the balance."""
    cluster = a_cluster(nodes, seed=1)
    planner = Planner(options)
    start = 0
    begin = time.perf_counter()
    for request in wanted:
        plan = planner.plan(cluster, request, start)
        if not isinstance(plan, Placement):
            raise SystemExit(f"{what}: {request} did not fit: {plan.detail}")
        start = (start + plan.seen) % len(cluster.ring)
        cluster.hold(
            request.uuid, Held(node=plan.node, claim=plan.claim, addresses=(), revision=1, tenant=request.tenant)
        )
    seconds = time.perf_counter() - begin
    loads = [100 * node.millicpus / node.shared_millicpus for node in cluster.ring]
    return Measured(
        what=what,
        placements=len(wanted),
        per_second=len(wanted) / seconds,
        mean=statistics.fmean(loads),
        deviation=statistics.pstdev(loads),
        lowest=min(loads),
        highest=max(loads),
    )


def run(nodes: int, containers: int) -> list[Measured]:
    """The speed with samples in a large cluster; then, in one that can be compared whole, the balance with and without them."""
    sampled = SchedulerOptions()
    size = sampled.sample_size
    fewer = max(nodes // 10, 1)
    wanted = requests(10 * fewer, 2)
    whole = SchedulerOptions(sample_above=EVERY_NODE)
    return [
        measure(f"{nodes} nodes, best of {size} sampled", nodes, requests(containers, 2), sampled),
        measure(f"{fewer} nodes, best of {size} sampled", fewer, wanted, sampled),
        measure(f"{fewer} nodes, best of all", fewer, wanted, whole),
    ]


def main() -> None:
    """Print a table, or JSON for the collecting script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--containers", type=int, default=50_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    results = run(given.nodes, given.containers)
    if given.json:
        print(json.dumps(msgspec.to_builtins(results)))
        return
    print("load: the claimed share of a node's cpu, in percent")
    print(f"{'':40} {'placements':>10} {'per second':>10} {'mean':>6} {'stddev':>6} {'min':>6} {'max':>6}")
    for row in results:
        figures = f"{row.mean:6.2f} {row.deviation:6.2f} {row.lowest:6.2f} {row.highest:6.2f}"
        print(f"{row.what:40} {row.placements:10} {row.per_second:10.0f} {figures}")


if __name__ == "__main__":
    main()
