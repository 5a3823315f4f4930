# SPDX-License-Identifier: Apache-2.0
"""Where a container goes, and what is said when it cannot go anywhere."""

import random
from collections import Counter

import pytest

from support.records import record, spec
from zun.controllers.scheduling.cluster import Cluster, Held, NodeFacts
from zun.controllers.scheduling.options import SchedulerOptions
from zun.controllers.scheduling.planner import NoPlace, Placement, Planner
from zun.controllers.scheduling.requests import Request, request_of
from zun.controllers.scheduling.tenants import Tenants
from zun.model.container import HealthCheck, Mount, NetRequest
from zun.model.records import Claim, NetworkInfo

LAB = NetworkInfo("net-2", "lab", "bridge", fixed_addresses=True)


def a_node(name: str, **fields: object) -> NodeFacts:
    given: dict[str, object] = {"millicpus": 4000, "memory_mib": 4096, "zone": "nova", "uuid": f"id-of-{name}"}
    return NodeFacts(name=name, **(given | fields))


def a_cluster(*nodes: NodeFacts, tenants: Tenants | None = None) -> Cluster:
    cluster = Cluster(random.Random(7), tenants)
    for node in nodes:
        cluster.describe(node)
    return cluster


def a_request(uuid: str = "c", **fields: object) -> Request:
    given: dict[str, object] = {"millicpus": 1000, "memory_mib": 512}
    return Request(uuid=uuid, **(given | fields))


def plan(cluster: Cluster, request: Request, start: int = 0, **options: object) -> Placement | NoPlace:
    return Planner(SchedulerOptions(**options)).plan(cluster, request, start)


def fill(cluster: Cluster, requests: list[Request], **options: object) -> Counter[str]:
    """Place all, as the loop does; how many went where."""
    planner, start, where = Planner(SchedulerOptions(**options)), 0, Counter[str]()
    for request in requests:
        found = planner.plan(cluster, request, start)
        assert isinstance(found, Placement), found
        start += found.seen
        cluster.hold(
            request.uuid,
            Held(node=found.node, claim=found.claim, addresses=found.addresses, revision=1, tenant=request.tenant),
        )
        where[found.node] += 1
    return where


def test_equal_containers_spread_evenly_over_equal_nodes() -> None:
    cluster = a_cluster(a_node("n1"), a_node("n2"))
    assert fill(cluster, [a_request(f"c{i}", millicpus=100) for i in range(10)]) == {"n1": 5, "n2": 5}


def test_a_larger_node_gets_more() -> None:
    cluster = a_cluster(a_node("small"), a_node("large", millicpus=12_000, memory_mib=12_288))
    assert fill(cluster, [a_request(f"c{i}", millicpus=100) for i in range(16)]) == {"small": 4, "large": 12}


def test_packing_fills_one_node_first() -> None:
    cluster = a_cluster(a_node("n1"), a_node("n2"))
    requests = [a_request(f"c{i}") for i in range(4)]
    assert len(fill(cluster, requests, weigher="pack")) == 1


def test_nodes_that_are_equally_good_take_turns() -> None:
    cluster = a_cluster(*(a_node(f"n{i}") for i in range(5)))
    chosen = {plan(cluster, a_request(), start).node for start in range(5)}  # type: ignore[union-attr]
    assert len(chosen) == 5


@pytest.mark.parametrize(
    ("node", "request_", "words"),
    [
        (a_node("n1", up=False), a_request(), "down"),
        (a_node("n1", up=False, forced_down=True), a_request(), "forced down"),
        (a_node("n1", enabled=False), a_request(), "disabled"),
        (a_node("n1"), a_request(host="n9"), "not the requested host n9"),
        (a_node("n1"), a_request(zone="mars"), "not in the requested zone mars"),
        (a_node("n1"), a_request(runtime="kata"), "lacks the requested runtime kata"),
        (a_node("n1"), a_request(labels=(("ssd", "true"),)), "lacks the requested labels (ssd=true)"),
        (a_node("n1"), a_request(capabilities=frozenset({"volumes"})), "its engine cannot do what is needed (volumes)"),
        (a_node("n1"), a_request(nets=(NetRequest("lab"),)), "lacks a requested network (lab)"),
        (a_node("n1"), a_request(secrets=True), "has no key to seal files and logins for"),
        (a_node("n1"), a_request(memory_mib=8192), "not enough memory (8192 MiB asked, at most 4096 MiB free)"),
        (a_node("n1"), a_request(millicpus=4500), "not enough cpu (4.5 asked, at most 4 free)"),
        (
            a_node("n1", cpus=2),
            a_request(millicpus=2500),
            "not enough cores (2.5 asked, at most 2 in one machine)",
        ),
        (a_node("n1"), a_request(disk_gib=5), "its engine cannot bound the disk of a container"),
        (
            a_node("n1", disk_quota=True, disk_gib=3),
            a_request(disk_gib=5),
            "not enough disk (5 GiB asked, at most 3 GiB free)",
        ),
        (
            a_node("n1", dedicated=frozenset({2, 3})),
            a_request(dedicated=3),
            "not enough dedicated cpus (3 asked, at most 2 free)",
        ),
    ],
)
def test_every_refusal_says_what_is_missing(node: NodeFacts, request_: Request, words: str) -> None:
    assert plan(a_cluster(node), request_) == NoPlace(f"1 of 1 node: {words}.")


@pytest.mark.parametrize(
    "request_",
    [
        a_request(host="n1"),
        a_request(host="id-of-n1"),
        a_request(zone="nova"),
        a_request(runtime="runc"),
        a_request(labels=(("ssd", "true"),)),
        a_request(capabilities=frozenset({"volumes"})),
        a_request(nets=(NetRequest("lab"), NetRequest("net-2", v4_fixed_ip="10.9.0.7"))),
        a_request(secrets=True),
        a_request(disk_gib=10),
        a_request(dedicated=2),
    ],
)
def test_a_node_that_has_what_is_asked_gets_it(request_: Request) -> None:
    able = a_node(
        "n1",
        labels={"ssd": "true"},
        runtimes=frozenset({"runc"}),
        capabilities=frozenset({"volumes"}),
        networks=(LAB,),
        public_key="ab",
        disk_quota=True,
        disk_gib=10,
        dedicated=frozenset({2, 3}),
    )
    found = plan(a_cluster(able), request_)
    assert isinstance(found, Placement)
    assert found.node == "n1"


def test_the_reasons_are_counted_over_all_nodes() -> None:
    cluster = a_cluster(
        a_node("n1", memory_mib=100),
        a_node("n2", memory_mib=300),
        a_node("n3", memory_mib=200),
        a_node("n4", enabled=False),
        a_node("n5", up=False),
    )
    found = plan(cluster, a_request(memory_mib=512))
    assert isinstance(found, NoPlace)
    assert found.detail.startswith(
        "3 of 5 nodes: not enough memory (512 MiB asked, at most 300 MiB free); 1 of 5 nodes: d"
    )
    assert "1 of 5 nodes: disabled" in found.detail
    assert "1 of 5 nodes: down" in found.detail


def test_without_any_node_it_says_so() -> None:
    assert plan(a_cluster(), a_request()) == NoPlace("No node is registered.")


def test_a_placement_says_why_this_node() -> None:
    cluster = a_cluster(
        a_node("n1"), a_node("n2", enabled=False), a_node("n3", memory_mib=100), a_node("n4", millicpus=2000)
    )
    found = plan(cluster, a_request())
    assert isinstance(found, Placement)
    assert found.why.startswith("n1, best of 2 candidates (2 excluded: ")
    assert "1 disabled" in found.why
    assert "1 not enough memory" in found.why
    assert found.why.endswith("75 % of cpu and 87 % of memory stay free")


def test_dedicated_containers_never_share_a_cpu() -> None:
    cluster = a_cluster(a_node("n1", millicpus=8000, dedicated=frozenset({4, 5, 6, 7})))
    fill(cluster, [a_request("a", dedicated=1), a_request("b", dedicated=2)])
    third = plan(cluster, a_request("c", dedicated=1))
    assert [cluster.held(uuid).claim.cpuset for uuid in "ab"] == ["4", "5,6"]  # type: ignore[union-attr]
    assert isinstance(third, Placement)
    assert third.claim == Claim(millicpus=1000, memory_mib=512, cpuset="7")


def test_shared_containers_do_not_get_the_time_of_dedicated_cpus() -> None:
    cluster = a_cluster(a_node("n1", millicpus=4000, dedicated=frozenset({2, 3})))
    fill(cluster, [a_request("a", millicpus=2000)])
    assert isinstance(plan(cluster, a_request("b", millicpus=100)), NoPlace)
    found = plan(cluster, a_request("c", dedicated=2))
    assert isinstance(found, Placement)
    assert found.claim.cpuset == "2,3"


def test_a_fixed_address_is_given_once_a_network() -> None:
    cluster = a_cluster(a_node("n1", networks=(LAB,)))
    by_name = a_request("a", nets=(NetRequest("lab", v4_fixed_ip="10.9.0.7"),))
    by_id = a_request("b", nets=(NetRequest("net-2", v4_fixed_ip="10.9.0.7"),))
    fill(cluster, [by_name])
    assert plan(cluster, by_id) == NoPlace("1 of 1 node: a requested address is taken (10.9.0.7).")
    cluster.release("a", 2)
    assert isinstance(plan(cluster, by_id), Placement)


def test_a_large_cluster_is_sampled_but_whatever_fits_somewhere_is_placed() -> None:
    nodes = [a_node(f"n{i:03}", memory_mib=100) for i in range(499)] + [a_node("roomy")]
    found = plan(a_cluster(*nodes), a_request(), start=123)
    assert isinstance(found, Placement)
    assert found.node == "roomy"


def test_sampling_looks_at_few_nodes_and_keeps_the_balance() -> None:
    cluster = a_cluster(*(a_node(f"n{i:03}", millicpus=64_000, memory_mib=65_536) for i in range(200)))
    first = plan(cluster, a_request())
    assert isinstance(first, Placement)
    assert first.seen == 16
    where = fill(cluster, [a_request(f"c{i}", millicpus=100, memory_mib=64) for i in range(2000)])
    assert min(where.values()) >= 9
    assert max(where.values()) <= 11


def test_what_a_spec_asks_for_is_read_completely() -> None:
    wished = record(
        files=1,
        spec=spec(
            cpu=1.5,
            cpu_policy="dedicated",
            memory=256,
            disk=3,
            host="n1",
            availability_zone="z",
            runtime="kata",
            hints={"label:ssd": "true", "group": "ignored"},
            privileged=True,
            mounts=[Mount("/data", source="v1"), Mount("/etc/motd", file=0)],
            healthcheck=HealthCheck("true"),
            nets=[NetRequest("lab")],
        ),
    )
    assert request_of(wished) == Request(
        uuid=wished.uuid,
        millicpus=1500,
        memory_mib=256,
        disk_gib=3,
        dedicated=2,
        host="n1",
        zone="z",
        runtime="kata",
        labels=(("ssd", "true"),),
        capabilities=frozenset({"privileged", "volumes", "cpuset", "health", "networks"}),
        nets=(NetRequest("lab"),),
        secrets=True,
        project_id="p1",
    )
    assert request_of(record(spec=spec(mounts=[Mount("/f", file=0)]))).capabilities == frozenset()
