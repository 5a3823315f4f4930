# SPDX-License-Identifier: Apache-2.0
"""Hosts, services and zones: nodes as operators and users see them."""

import pytest

from support.api import ApiWorld, error_of

HOST_KEYS = {
    "uuid",
    "links",
    "hostname",
    "mem_total",
    "mem_used",
    "cpus",
    "cpu_used",
    "disk_total",
    "disk_used",
    "total_containers",
    "architecture",
    "os_type",
    "os",
    "kernel_version",
    "labels",
    "runtimes",
    "disk_quota_supported",
    "enable_cpu_pinning",
}


async def test_hosts_show_what_they_have_and_what_containers_take(api: ApiWorld) -> None:
    await api.running(cpu=2, memory="256")
    listed = (await api.admin.get("/v1/hosts/")).json()
    assert listed["next"] is None
    (host,) = listed["hosts"]
    assert set(host) == HOST_KEYS
    assert (host["hostname"], host["cpu_used"], host["mem_used"], host["total_containers"]) == ("n1", 2.0, 256, 1)
    for ident in ("n1", host["uuid"], host["uuid"].upper()):
        assert (await api.admin.get(f"/v1/hosts/{ident}")).json() == host


async def test_hosts_are_sorted_by_name_and_paged(api: ApiWorld) -> None:
    for name in ("b", "c", "a"):
        await api.world.node(name)
    found, url = [], "/v1/hosts?limit=2"
    while url:
        page = (await api.admin.get(url)).json()
        found += [host["hostname"] for host in page["hosts"]]
        url = page["next"]
    assert found == ["a", "b", "c", "n1"]
    newest = (await api.admin.get("/v1/hosts?sort_key=hostname&sort_dir=desc&limit=1&anything=else")).json()
    assert newest["hosts"][0]["hostname"] == "n1"


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=0", 400), ("limit=x", 400), ("sort_key=nothing", 400), ("sort_dir=up", 400), ("marker=nobody", 404)],
)
async def test_bad_paging_of_hosts_is_refused(api: ApiWorld, query: str, status: int) -> None:
    assert error_of(await api.admin.get(f"/v1/hosts?{query}"))[0] == status


async def test_hosts_came_with_version_1_4_and_are_for_admins(api: ApiWorld) -> None:
    assert error_of(await api.at("1.3", "admin").get("/v1/hosts"))[0] == 406
    for path in ("/v1/hosts", "/v1/hosts/n1", "/v1/services"):
        assert error_of(await api.member.get(path)) == (403, "policy-not-authorized")
    assert error_of(await api.admin.get("/v1/hosts/nothing")) == (404, "compute-node-not-found")


async def test_services_show_their_switches_and_whether_they_work(api: ApiWorld) -> None:
    listed = (await api.admin.get("/v1/services?anything=else")).json()
    assert set(listed) == {"services"}
    (service,) = listed["services"]
    assert service == {
        "id": 1,
        "host": "n1",
        "binary": "zun-compute",
        "disabled": False,
        "disabled_reason": None,
        "forced_down": False,
        "last_seen_up": "2023-11-14T22:13:20",
        "report_count": 1,
        "availability_zone": "nova",
        "created_at": "2023-11-14T22:13:20",
        "updated_at": None,
        "state": "up",
    }
    await api.world.node_dies()
    assert (await api.admin.get("/v1/services")).json()["services"][0]["state"] == "down"


async def test_services_are_switched_by_query_or_body(api: ApiWorld) -> None:
    query = "host=n1&binary=zun-compute"
    disabled = await api.admin.put(f"/v1/services/disable?{query}&disabled_reason=broken")
    assert disabled.json() == {
        "service": {"host": "n1", "binary": "zun-compute", "disabled": True, "disabled_reason": "broken"}
    }
    enabled = await api.admin.put("/v1/services/enable", json={"host": "n1", "binary": "zun-compute"})
    assert enabled.json()["service"] == {
        "host": "n1",
        "binary": "zun-compute",
        "disabled": False,
        "disabled_reason": None,
    }
    down = await api.admin.put(f"/v1/services/force_down?{query}&forced_down=True")
    assert down.json() == {"service": {"host": "n1", "binary": "zun-compute", "forced_down": True}}
    assert (await api.admin.get("/v1/services")).json()["services"][0]["state"] == "down"


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("PUT", "enable", "binary=zun-compute", (400, "schema-validation-error")),
        ("PUT", "enable", "host=n1", (400, "schema-validation-error")),
        ("PUT", "enable", "host=n1&binary=zun-compute&more=1", (400, "schema-validation-error")),
        ("PUT", "enable", "host=n9&binary=zun-compute", (404, "zun-service-not-found")),
        ("PUT", "disable", "host=n1&binary=other", (404, "zun-service-not-found")),
        ("PUT", "disable", "host=n1&binary=zun-compute&disabled_reason=", (400, "schema-validation-error")),
        ("PUT", "force_down", "host=n1&binary=zun-compute", (400, "schema-validation-error")),
        ("PUT", "force_down", "host=n1&binary=zun-compute&forced_down=yes", (400, "schema-validation-error")),
        ("DELETE", "", "host=n1", (400, "schema-validation-error")),
        ("DELETE", "", "host=n9&binary=zun-compute", (404, "zun-service-not-found")),
    ],
)
async def test_what_is_wrong_with_a_switch_is_told(
    api: ApiWorld, method: str, path: str, query: str, expected: tuple[int, str]
) -> None:
    assert error_of(await api.admin.request(method, f"/v1/services/{path}?{query}")) == expected


async def test_a_service_is_forgotten_unless_containers_are_on_it(api: ApiWorld) -> None:
    await api.running()
    assert error_of(await api.admin.delete("/v1/services?host=n1&binary=zun-compute")) == (409, "conflict")
    await api.world.node("spare")
    gone = await api.admin.delete("/v1/services?host=spare&binary=zun-compute")
    assert (gone.status_code, gone.json()) == (200, None)
    assert [s["host"] for s in (await api.admin.get("/v1/services")).json()["services"]] == ["n1"]


async def test_everybody_in_a_project_sees_the_zones_once(api: ApiWorld) -> None:
    await api.world.node("n2")
    zones = (await api.reader.get("/v1/availability_zones?limit=1&marker=x")).json()
    assert zones == {"availability_zones": [{"availability_zone": "nova"}], "next": None}
    assert error_of(await api.client("nobody").get("/v1/availability_zones"))[0] == 403
