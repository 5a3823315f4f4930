# SPDX-License-Identifier: Apache-2.0
"""Controllers and nodes tell their figures at an address of their own, and every figure there is, is declared."""

import re
from collections.abc import Iterator

import httpx
import pytest

from support.roles import Api, Cluster, Role, cluster, create, running
from support.service import eventually
from zun.telemetry.metrics import ALL, API, COMPUTE, CONTROLLER, Kind
from zun.telemetry.table import shown_name

pytestmark = pytest.mark.etcd

FIGURES = "[metrics]\nlisten = 127.0.0.1:0\n"


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An etcd."""
    with cluster(tmp_path_factory.mktemp("figures")) as made:
        yield made


def figures(role: Role) -> dict[str, float]:
    """What a process tells now, by name with labels."""
    if isinstance(role, Api):
        url = f"{role.url}/metrics"
    else:
        (url,) = re.findall(r"figures are served on (\S+)", role.said())
    text = httpx.get(url, timeout=10).text
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("zun_"))
    return {name: float(value) for name, value in pairs}


def declared(role: str) -> set[str]:
    return {metric.name for metric in ALL if role in metric.by}


def named(found: dict[str, float]) -> set[str]:
    """The declared names behind what is shown."""
    return {re.sub(r"_(bucket|sum|count|total|created)$", "", name.partition("{")[0]) for name in found}


def test_a_create_is_counted_where_it_was_placed_and_where_it_was_made(house: Cluster) -> None:
    api, controller = house.api("api"), house.controller("controller", FIGURES)
    compute = house.compute("n1", FIGURES)
    for role in (api, controller, compute):
        role.start()
    with api.client() as client:
        uuid = create(client)
        running(client, uuid)
        led = figures(controller)
        assert (led["zun_leader"], led["zun_placements_total"], led["zun_placement_refusals_total"]) == (1, 1, 0)
        assert led["zun_accept_to_placed_seconds_count"] == 1
        assert led['zun_nodes{state="up"}'] == 1
        made = figures(compute)
        assert made['zun_operations_total{result="done",verb="create"}'] == 1
        assert made['zun_operation_seconds_count{verb="start"}'] == 1
        assert made['zun_node_containers{state="running"}'] == 1
        assert made["zun_heartbeat_age_seconds"] < 60
        assert made['zun_store_call_seconds_count{call="transact",result="done"}'] > 0
        client.delete(f"/v1/containers/{uuid}", params={"force": "true"})
        eventually(lambda: figures(controller).get('zun_reaped_total{kind="container"}') == 1, "it is cleared away")
        refused = create(client, memory=8000, hints={"label:nowhere": "x"})
        eventually(lambda: figures(controller)["zun_placement_refusals_total"] == 1, f"{refused} is refused")
    house.etcd.kill()
    house.etcd.start()
    eventually(lambda: figures(compute)["zun_store_watch_reconnects_total"] > 0, "the broken watch is counted")
    for role, kind in ((api, API), (controller, CONTROLLER), (compute, COMPUTE)):
        shown = figures(role)
        assert named(shown) - declared(kind) == set()
        always = {shown_name(m) for m in ALL if kind in m.by and not m.labels and m.kind is not Kind.HISTOGRAM}
        assert always - set(shown) == {"zun_view_lag_revisions"} & always, "an etcd does not tell how far it is"


def test_without_an_address_nothing_is_served(house: Cluster) -> None:
    controller = house.controller("controller")
    controller.start()
    assert "figures are served" not in controller.said()
