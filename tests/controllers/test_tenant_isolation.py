# SPDX-License-Identifier: Apache-2.0
"""Which projects may be neighbours on a node: what is said of it, and what no order of things can break."""

import random
from collections.abc import Iterable
from itertools import combinations

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from controllers.test_planner import a_cluster, a_node
from support.records import record, spec
from zun.controllers.scheduling.cluster import PENDING, Cluster, Held, NodeFacts
from zun.controllers.scheduling.options import SchedulerOptions
from zun.controllers.scheduling.planner import NoPlace, Placement, Planner
from zun.controllers.scheduling.requests import Request, request_of
from zun.controllers.scheduling.tenants import Tenant, Tenants, tenant_in
from zun.model.children import Child, ImageSource, RecordKind
from zun.model.container import ContainerSpec
from zun.store import codec

SANDBOXES = ("runsc", "kata")
HANDLERS = frozenset({"runc", *SANDBOXES})
PRIVILEGED = frozenset({"privileged"})


def a_cloud(*names: str, **fields: object) -> Cluster:
    return a_cluster(*(a_node(name, **{"runtimes": HANDLERS, **fields}) for name in names), tenants=Tenants(SANDBOXES))


def a_request(uuid: str, project: str, runtime: str | None = None, **fields: object) -> Request:
    given: dict[str, object] = {"millicpus": 100, "memory_mib": 64, "held_under": runtime, **fields}
    return Request(uuid=uuid, project_id=project, runtime=runtime, **given)


def put(cluster: Cluster, node: str, request: Request, revision: int = 1) -> None:
    cluster.hold(
        request.uuid, Held(node=node, claim=request.claim(), addresses=(), revision=revision, tenant=request.tenant)
    )


def plan(cluster: Cluster, request: Request, mode: str, **options: object) -> Placement | NoPlace:
    return Planner(SchedulerOptions(tenant_isolation=mode, **options)).plan(cluster, request)


def where(cluster: Cluster, request: Request, mode: str, **options: object) -> str:
    found = plan(cluster, request, mode, **options)
    return found.node if isinstance(found, Placement) else ""


def test_exclusive_refuses_the_node_of_another_project_and_says_so() -> None:
    cluster = a_cloud("n1")
    put(cluster, "n1", a_request("a", "shop", "runsc"))
    assert plan(cluster, a_request("b", "bank", "runsc"), "exclusive") == NoPlace(
        "1 of 1 node: has containers of another project and isolation is exclusive."
    )
    assert where(cluster, a_request("c", "shop"), "exclusive") == "n1"


def test_why_a_node_was_taken_tells_of_those_that_isolation_excluded() -> None:
    cluster = a_cloud("n1", "n2")
    put(cluster, "n1", a_request("a", "shop"))
    found = plan(cluster, a_request("b", "bank"), "exclusive")
    assert isinstance(found, Placement)
    assert found.why.startswith("n2, the only candidate (1 excluded: 1 has containers of another project);")


@pytest.mark.parametrize(
    ("there", "comes", "together"),
    [
        ("runsc", "kata", True),
        ("runsc", "runc", False),
        ("runc", "runsc", False),
        ("runc", "runc", False),
        (None, "runsc", False),
        ("runsc", None, False),
    ],
)
def test_sandboxed_lets_projects_meet_only_when_both_are_in_a_sandbox(
    there: str | None, comes: str | None, together: bool
) -> None:
    cluster = a_cloud("n1")
    put(cluster, "n1", a_request("a", "shop", there))
    found = plan(cluster, a_request("b", "bank", comes), "sandboxed")
    assert isinstance(found, Placement) == together
    if isinstance(found, NoPlace):
        assert found.detail.startswith("1 of 1 node: has containers of another project, isolation is sandboxed")
    assert where(cluster, a_request("c", "shop", comes), "sandboxed") == "n1"


def test_a_default_runtime_of_the_engine_is_no_promise() -> None:
    cluster = a_cloud("n1", runtimes=frozenset(SANDBOXES))
    put(cluster, "n1", a_request("a", "shop"))
    assert where(cluster, a_request("b", "bank", "runsc"), "sandboxed") == ""


def test_a_privileged_container_is_in_no_sandbox() -> None:
    cluster = a_cloud("n1", capabilities=PRIVILEGED)
    put(cluster, "n1", a_request("a", "shop", "runsc"))
    assert where(cluster, a_request("b", "bank", "runsc", capabilities=PRIVILEGED, held_under=None), "sandboxed") == ""


def test_a_project_fills_its_own_nodes_before_it_takes_another_one() -> None:
    cluster = a_cloud(*(f"n{number}" for number in range(200)), millicpus=300)
    planner = Planner(SchedulerOptions(tenant_isolation="exclusive"))
    for number in range(7):
        request = a_request(f"c{number}", "shop")
        found = planner.plan(cluster, request, number)
        assert isinstance(found, Placement)
        put(cluster, found.node, request)
    assert len(set(cluster.tenants.nodes_of("shop"))) == 3


def test_its_own_node_whose_agent_restarts_is_not_preferred() -> None:
    cluster = a_cloud("n1", "n2")
    put(cluster, "n1", a_request("a", "shop"))
    cluster.describe(a_node("n1", runtimes=HANDLERS, restarting=True))
    assert where(cluster, a_request("b", "shop"), "exclusive") == "n2"


def test_who_is_about_to_leave_a_node_is_a_neighbour_until_that_is_written() -> None:
    cluster = a_cloud("n1", "n2")
    mover, stranger = a_request("a", "shop"), a_request("b", "bank")
    put(cluster, "n1", mover)
    put(cluster, "n2", mover, PENDING)
    assert where(cluster, stranger, "exclusive") == ""
    cluster.settle("a", 5)
    assert where(cluster, stranger, "exclusive") == "n1"


def test_a_move_that_is_taken_back_leaves_everything_counted_as_before() -> None:
    cluster = a_cloud("n1", "n2")
    mover, stranger = a_request("a", "shop"), a_request("b", "bank")
    put(cluster, "n1", mover)
    put(cluster, "n2", mover, PENDING)
    cluster.undo("a")
    held = cluster.held("a")
    assert held is not None
    assert held.node == "n1"
    assert where(cluster, stranger, "exclusive") == "n2"
    cluster.release("a", 1)
    assert not cluster.tenants.others("n1", "bank")


def test_whose_move_came_to_nothing_is_where_it_was() -> None:
    cluster = a_cloud("n1", "n2")
    mover, stranger = a_request("a", "shop"), a_request("b", "bank")
    put(cluster, "n1", mover)
    put(cluster, "n2", mover, PENDING)
    cluster.revoke("a")
    put(cluster, "n1", mover)
    assert where(cluster, stranger, "exclusive") == "n2"


def test_a_node_that_comes_back_still_has_its_neighbours() -> None:
    cluster = a_cloud("n1")
    put(cluster, "n1", a_request("a", "shop"))
    cluster.forget("n1")
    cluster.describe(a_node("n1", runtimes=HANDLERS))
    assert where(cluster, a_request("b", "bank"), "exclusive") == ""


@pytest.mark.parametrize("fields", [{}, {"runtime": "runsc"}, {"runtime": "runsc", "privileged": True}])
def test_a_stored_wish_and_a_request_tell_of_the_same_tenant(fields: dict[str, object]) -> None:
    wished = record(spec=spec(**fields))
    assert tenant_in(codec.encode(wished)) == request_of(wished).tenant


@pytest.mark.parametrize(
    ("children", "under"),
    [
        ([spec(runtime="runsc"), spec(runtime="runsc")], "runsc"),
        ([spec(runtime="runsc"), spec()], None),
        ([spec(runtime="runsc"), spec(runtime="runsc", privileged=True)], None),
    ],
)
def test_a_capsule_is_in_a_sandbox_when_all_of_it_is(children: list[ContainerSpec], under: str | None) -> None:
    wished = record(
        spec=spec(runtime="runsc"),
        kind=RecordKind.CAPSULE,
        children=[Child(str(number), one, ImageSource("busybox")) for number, one in enumerate(children)],
    )
    assert request_of(wished).tenant == tenant_in(codec.encode(wished)) == Tenant(wished.project_id, under)


# Whatever happens, in whatever order


class World:
    """What is true: where each container may be running, the new node and, until its move is written, the old one."""

    def __init__(self, facts: Iterable[NodeFacts], mode: str, weigher: str) -> None:
        self.mode = mode
        self.cluster = Cluster(random.Random(1), Tenants(SANDBOXES))
        self.facts = list(facts)
        for one in self.facts:
            self.cluster.describe(one)
        self.planner = Planner(SchedulerOptions(tenant_isolation=mode, weigher=weigher, sample_size=2, sample_above=3))
        self.places: dict[str, tuple[Request, str]] = {}
        self.moving: dict[str, tuple[Request, str]] = {}
        self.revision = 0

    def place(self, request: Request) -> None:
        """A new one; its place is written at once, or with others of its turn."""
        self.revision += 1
        under = None if request.capabilities else request.runtime
        self._put(msgspec.structs.replace(request, uuid=f"c{self.revision}", held_under=under))

    def move(self, uuid: str) -> None:
        request, node = self.places[uuid]
        if uuid not in self.moving:
            self._put(msgspec.structs.replace(request, leaves=node))

    def _put(self, request: Request) -> None:
        self.revision += 1
        found = self.planner.plan(self.cluster, request, self.revision)
        if isinstance(found, NoPlace):
            assert not [node.name for node in self.facts if self._would_do(request, node)]
            return
        put(self.cluster, found.node, request, PENDING)
        self.moving[request.uuid] = request, found.node

    def write(self, uuid: str, *, succeeds: bool) -> None:
        """What was decided of it is written, or something came between."""
        self.revision += 1
        request, node = self.moving.pop(uuid)
        if succeeds:
            self.cluster.settle(uuid, self.revision)
            self.places[uuid] = request, node
            return
        self.cluster.revoke(uuid)
        if uuid in self.places:
            put(self.cluster, self.places[uuid][1], request, self.revision)

    def remove(self, uuid: str) -> None:
        if uuid not in self.moving:
            self.revision += 1
            del self.places[uuid]
            self.cluster.release(uuid, self.revision)

    def blink(self, node: NodeFacts) -> None:
        self.cluster.forget(node.name)
        self.cluster.describe(node)

    def on(self, node: str) -> list[Request]:
        """Everything that may be running there."""
        return [request for request, name in (*self.places.values(), *self.moving.values()) if name == node]

    def check(self) -> None:
        for node in self.facts:
            for one, other in combinations(self.on(node.name), 2):
                assert self.may_meet(one, other), (node.name, one, other)

    def may_meet(self, one: Request, other: Request) -> bool:
        """The rule, said another way than the filter says it."""
        if one.project_id == other.project_id or self.mode == "none":
            return True
        return self.mode == "sandboxed" and all(
            each.runtime in SANDBOXES and not each.capabilities for each in (one, other)
        )

    def _would_do(self, request: Request, node: NodeFacts) -> bool:
        there = self.on(node.name)
        return (
            node.name != request.leaves
            and (request.runtime is None or request.runtime in node.runtimes)
            and request.capabilities <= node.capabilities
            and sum(one.memory_mib for one in (*{each.uuid: each for each in there}.values(), request))
            <= node.memory_mib
            and all(self.may_meet(request, other) for other in there)
        )


clouds = st.lists(
    st.builds(
        NodeFacts,
        name=st.sampled_from([f"n{number}" for number in range(6)]),
        millicpus=st.just(64_000),
        memory_mib=st.sampled_from([128, 256, 100_000]),
        runtimes=st.sampled_from([HANDLERS, frozenset({"runc"}), frozenset({"runc", "runsc"})]),
        capabilities=st.sampled_from([PRIVILEGED, frozenset[str]()]),
    ),
    max_size=6,
    unique_by=lambda node: node.name,
)
wishes = st.builds(
    Request,
    uuid=st.just(""),
    millicpus=st.just(10),
    memory_mib=st.sampled_from([8, 100]),
    project_id=st.sampled_from(["shop", "bank", "lab"]),
    runtime=st.sampled_from([None, "runc", "runsc", "kata"]),
    capabilities=st.sampled_from([frozenset[str](), frozenset[str](), PRIVILEGED]),
)
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("place"), wishes),
        st.tuples(st.sampled_from(["move", "write", "fail", "remove", "blink"]), st.integers(0, 1000)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(
    facts=clouds,
    work=deeds,
    mode=st.sampled_from(["none", "sandboxed", "exclusive"]),
    weigher=st.sampled_from(["spread", "pack"]),
)
def test_no_order_of_things_makes_neighbours_that_isolation_forbids(
    facts: list[NodeFacts], work: list[tuple[str, Request | int]], mode: str, weigher: str
) -> None:
    world = World(facts, mode, weigher)
    for what, argument in work:
        if isinstance(argument, Request):
            world.place(argument)
        elif what == "blink" and facts:
            world.blink(facts[argument % len(facts)])
        elif what in {"write", "fail"} and world.moving:
            world.write(sorted(world.moving)[argument % len(world.moving)], succeeds=what == "write")
        elif what in {"move", "remove"} and world.places:
            (world.move if what == "move" else world.remove)(sorted(world.places)[argument % len(world.places)])
        world.check()


@settings(max_examples=150, deadline=None)
@given(facts=clouds, work=st.lists(wishes, max_size=40), weigher=st.sampled_from(["spread", "pack"]))
def test_without_isolation_it_does_not_matter_whose_a_container_is(
    facts: list[NodeFacts], work: list[Request], weigher: str
) -> None:
    planner = Planner(SchedulerOptions(weigher=weigher, sample_size=2, sample_above=3))
    known, blank = (Cluster(random.Random(1), tenants) for tenants in (Tenants(SANDBOXES), None))
    for one in facts:
        known.describe(one)
        blank.describe(one)
    for number, wish in enumerate(work):
        request = msgspec.structs.replace(wish, uuid=f"c{number}")
        nobodys = msgspec.structs.replace(request, project_id="")
        found = planner.plan(known, request, number)
        assert found == planner.plan(blank, nobodys, number)
        if isinstance(found, Placement):
            put(known, found.node, request)
            put(blank, found.node, nobodys)
