# SPDX-License-Identifier: Apache-2.0
"""Whatever is placed, resized, removed and moved about in whatever order: nothing is given twice, and the counts add up."""

import random
import re

import hypothesis.strategies as st
import msgspec
from hypothesis import given, settings

from zun.controllers.scheduling.cluster import Cluster, Held, NodeFacts, cpus_of
from zun.controllers.scheduling.options import SchedulerOptions
from zun.controllers.scheduling.planner import NoPlace, Placement, Planner
from zun.controllers.scheduling.requests import Request

nodes = st.lists(
    st.builds(
        NodeFacts,
        name=st.sampled_from([f"n{i}" for i in range(6)]),
        up=st.sampled_from([True, True, True, False]),
        enabled=st.sampled_from([True, True, True, False]),
        zone=st.sampled_from(["a", "b"]),
        millicpus=st.integers(0, 8000),
        memory_mib=st.integers(0, 4096),
        disk_gib=st.integers(0, 20),
        disk_quota=st.booleans(),
        dedicated=st.frozensets(st.integers(0, 5)),
    ),
    max_size=6,
    unique_by=lambda node: node.name,
)
requests = st.builds(
    Request,
    uuid=st.just(""),
    millicpus=st.integers(1, 4000),
    memory_mib=st.integers(1, 2048),
    disk_gib=st.integers(0, 5),
    dedicated=st.integers(0, 3),
    zone=st.sampled_from([None, "a"]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("place"), requests),
        st.tuples(st.just("remove"), st.integers(0, 1000)),
        st.tuples(st.just("node goes and comes"), st.integers(0, 5)),
        st.tuples(st.just("news from before"), st.integers(0, 1000)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(facts=nodes, work=steps, weigher=st.sampled_from(["spread", "pack"]), sample=st.integers(1, 4))
def test_no_order_of_things_gives_anything_twice(
    facts: list[NodeFacts], work: list[tuple[str, object]], weigher: str, sample: int
) -> None:
    cluster = Cluster(random.Random(1))
    for one in facts:
        cluster.describe(one)
    planner = Planner(SchedulerOptions(weigher=weigher, sample_size=sample, sample_above=2))
    given_out: dict[str, Held] = {}
    for revision, (what, argument) in enumerate(work, start=1):
        some = sorted(given_out)[int(argument) % len(given_out)] if given_out and isinstance(argument, int) else ""
        if isinstance(argument, Request):
            request = msgspec.structs.replace(argument, uuid=f"c{revision}")
            found = planner.plan(cluster, request, revision)
            if isinstance(found, Placement):
                held = Held(node=found.node, claim=found.claim, addresses=(), revision=revision, tenant=request.tenant)
                given_out[request.uuid] = held
                cluster.hold(request.uuid, held)
            else:
                assert_counts_add_up(found, len(facts))
                assert_nothing_would_fit(cluster, request, given_out)
        elif what == "remove" and some:
            del given_out[some]
            cluster.release(some, revision)
        elif what == "node goes and comes" and facts:
            one = facts[int(argument) % len(facts)]  # type: ignore[call-overload]
            cluster.forget(one.name)
            cluster.describe(one)
        elif what == "news from before" and some:
            cluster.release(some, given_out[some].revision - 1)
            cluster.hold(some, given_out[some])
    for one in facts:
        assert_within(one, given_out)
        assert_counted(cluster, one, given_out)


def assert_within(facts: NodeFacts, given_out: dict[str, Held]) -> None:
    claims = [held.claim for held in given_out.values() if held.node == facts.name]
    shared = sum(claim.millicpus for claim in claims if claim.cpuset is None)
    cpus = [cpu for claim in claims for cpu in cpus_of(claim)]
    assert shared + 1000 * len(facts.dedicated) <= facts.millicpus or not shared
    assert sum(claim.memory_mib for claim in claims) <= facts.memory_mib
    assert sum(claim.disk_gib for claim in claims) <= facts.disk_gib
    assert len(cpus) == len(set(cpus))
    assert set(cpus) <= facts.dedicated


def assert_counted(cluster: Cluster, facts: NodeFacts, given_out: dict[str, Held]) -> None:
    node = cluster.node(facts.name)
    claims = [held.claim for held in given_out.values() if held.node == facts.name]
    assert node is not None
    assert node.memory_mib == sum(claim.memory_mib for claim in claims)
    assert node.millicpus == sum(claim.millicpus for claim in claims if claim.cpuset is None)
    assert node.taken_cpus == {cpu for claim in claims for cpu in cpus_of(claim)}
    assert node.containers == len(claims)


def assert_counts_add_up(found: NoPlace, total: int) -> None:
    counts = [int(count) for count in re.findall(r"(\d+) of \d+ nodes?:", found.detail)]
    assert sum(counts) == total


def assert_nothing_would_fit(cluster: Cluster, request: Request, given_out: dict[str, Held]) -> None:
    """Said another way than the filters say it."""
    for node in cluster.ring:
        facts = node.facts
        claims = [held.claim for held in given_out.values() if held.node == facts.name]
        shared = sum(claim.millicpus for claim in claims if claim.cpuset is None) + 1000 * len(facts.dedicated)
        cpu = (
            len(facts.dedicated - {c for claim in claims for c in cpus_of(claim)}) >= request.dedicated
            if request.dedicated
            else shared + request.millicpus <= facts.millicpus
        )
        memory = sum(claim.memory_mib for claim in claims) + request.memory_mib <= facts.memory_mib
        disk = not request.disk_gib or (
            facts.disk_quota and sum(claim.disk_gib for claim in claims) + request.disk_gib <= facts.disk_gib
        )
        zone = request.zone in {None, facts.zone}
        assert not (facts.up and facts.enabled and zone and cpu and memory and disk)
