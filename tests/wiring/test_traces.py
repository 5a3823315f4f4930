# SPDX-License-Identifier: Apache-2.0
"""One request is one trace, from the API through the leader to the steps on its node; and nothing of that is loaded when it is off."""

from collections.abc import Iterator

import pytest

from support.otlp_receiver import Receiver, Span, receiver
from support.roles import Api, Cluster, Role, cluster, create, running
from support.service import eventually

pytestmark = pytest.mark.etcd

CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An etcd."""
    with cluster(tmp_path_factory.mktemp("traces")) as made:
        yield made


@pytest.fixture
def collector() -> Iterator[Receiver]:
    """A collector of traces."""
    with receiver() as made:
        yield made


def started(house: Cluster, settings: str) -> tuple[Api, Role, Role]:
    roles = house.api("api", settings), house.controller("controller", settings), house.compute("n1", settings)
    for role in roles:
        role.start()
    return roles


def trace_with(collector: Receiver, *names: str) -> list[Span]:
    """The spans of the one trace that has all these names, once it has; in order of their beginning."""

    def found() -> list[Span] | None:
        by_trace: dict[str, list[Span]] = {}
        for span in collector.spans():
            by_trace.setdefault(span.trace, []).append(span)
        for spans in by_trace.values():
            if set(names) <= {span.name for span in spans}:
                return sorted(spans, key=lambda span: span.began)
        return None

    return list(eventually(found, f"a trace with {', '.join(names)}"))


def one(spans: list[Span], name: str) -> Span:
    (found,) = (span for span in spans if span.name == name)
    return found


def test_a_create_is_one_trace_over_all_three_processes(house: Cluster, collector: Receiver) -> None:
    api, _, _ = started(house, f"[tracing]\nendpoint = {collector.endpoint}\n")
    with api.client() as client:
        uuid = create(client, name="followed")
        running(client, uuid)
    spans = trace_with(collector, "POST container_create", "accept", "place", "deliver", "create", "start", "image")
    root = one(spans, "POST container_create")
    assert root.parent == ""
    assert {span.parent for span in spans} - {""} <= {span.id for span in spans}
    services = {span.name: span.service for span in spans}
    assert (services["accept"], services["place"], services["deliver"]) == ("zun-api", "zun-controller", "zun-compute")
    for name in ("accept", "place", "deliver"):
        assert one(spans, name).parent == root.id
        assert one(spans, name).attributes["zun.container"] == uuid
    operations = [span for span in spans if span.parent == root.id and span.name in {"create", "start"}]
    assert [span.name for span in operations] == ["create", "start"]
    assert one(spans, "image").parent == operations[0].id
    assert all(span.ended >= span.began for span in spans)
    assert not any(span.failed for span in spans)


def test_an_action_goes_on_in_its_clients_trace_and_shows_what_failed(house: Cluster, collector: Receiver) -> None:
    api, _, _ = started(house, f"[tracing]\nendpoint = {collector.endpoint}\n")
    with api.client() as client:
        uuid = create(client)
        running(client, uuid)
        client.post(f"/v1/containers/{uuid}/kill", headers={"traceparent": CLIENTS}, params={"signal": "SIGHUP"})
        spans = trace_with(collector, "POST container_kill", "accept", "deliver", "kill")
        assert {span.trace for span in spans} == {CLIENTS.split("-")[1]}
        assert one(spans, "POST container_kill").parent == CLIENTS.split("-")[2]
        refused = create(client, image="never-there:1", image_pull_policy="never")
        spans = trace_with(collector, "POST container_create", "place", "create", "image")
        eventually(lambda: client.get(f"/v1/containers/{refused}").json()["status"] == "Error", "it failed")
        failed = eventually(lambda: [span for span in collector.spans() if span.failed], "the failure is told")
        assert {span.name for span in failed} == {"create", "image"}


def test_an_odd_place_in_a_trace_harms_nothing(house: Cluster, collector: Receiver) -> None:
    api = house.api("api", f"[tracing]\nendpoint = {collector.endpoint}\n")
    api.start()
    with api.client() as client:
        for odd in ("", "x", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "zz" * 4000):
            assert client.get("/v1/containers", headers={"traceparent": odd}).status_code == 200
    eventually(lambda: len(collector.spans()) >= 4, "each is a trace of its own")
    assert all(span.parent == "" for span in collector.spans())


def test_a_collector_that_is_away_holds_nobody_up(house: Cluster) -> None:
    roles = api, _, _ = started(house, "[tracing]\nendpoint = http://127.0.0.1:9\n")
    with api.client() as client:
        running(client, create(client))
    for role in roles:
        assert role.stop() == 0


@pytest.mark.parametrize("role", ["api", "controller", "compute"])
def test_a_process_that_traces_nothing_does_not_load_what_traces(house: Cluster, role: str) -> None:
    made = {"api": house.api, "controller": house.controller, "compute": house.compute}[role](f"plain-{role}")
    made.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    founder = house.controller("founder")  # a node waits for a store that holds nothing
    founder.start()
    founder.stop()
    made.start()
    assert made.stop() == 0
    assert "zun.store.etcd.store" in made.said(), "imports are told"
    assert "opentelemetry" not in made.said()
