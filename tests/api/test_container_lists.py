# SPDX-License-Identifier: Apache-2.0
"""Lists of containers: filters, order, pages; and kept answers that are never old."""

from typing import Any

import pytest

from support.api import BASE, ApiWorld, error_of
from zun.model.records import SeenState

C = "/v1/containers"


async def names(api: ApiWorld, client: Any = None, **params: Any) -> list[str]:
    response = await (client or api.member).get(C, params=params)
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["containers"]]


async def three(api: ApiWorld) -> list[str]:
    """Containers `aa`, `bb`, `cc` of one project, the first of them running."""
    uuids = []
    for place, name in enumerate(["cc", "aa", "bb"]):
        members = {"memory": 64 * (place + 1), "auto_remove": place == 1}
        uuids.append((await api.create(name=name, cpu=0.1, **members))["uuid"])
        api.clock.advance(1)
    await api.world.running(uuids[0])
    return uuids


async def test_an_empty_list(api: ApiWorld) -> None:
    assert (await api.member.get(C)).json() == {"containers": [], "next": None}


async def test_items_have_no_links_and_no_keys_for_admins(api: ApiWorld) -> None:
    await three(api)
    (item, *_) = (await api.member.get(C)).json()["containers"]
    assert not {"links", "host", "privileged", "runtime", "image_pull_policy"} & set(item)
    (item, *_) = (await api.admin.get(C, params={"all_projects": 1})).json()["containers"]
    assert {"host", "privileged", "runtime", "image_pull_policy"} <= set(item)


async def test_the_oldest_comes_first(api: ApiWorld) -> None:
    await three(api)
    assert await names(api) == ["cc", "aa", "bb"]
    assert await names(api, sort_dir="desc") == ["bb", "aa", "cc"]


@pytest.mark.parametrize(
    "sort_key", ["name", "memory", "status", "created_at", "host", "addresses", "cpu", "uuid", "id"]
)
async def test_a_list_can_be_sorted_by_any_key_it_shows(api: ApiWorld, sort_key: str) -> None:
    await three(api)
    params = {"sort_key": sort_key, "all_projects": "True"}
    ascending = await names(api, api.admin, **params)
    assert sorted(ascending) == ["aa", "bb", "cc"]
    assert await names(api, api.admin, **params, sort_dir="desc") == ascending[::-1]
    if sort_key == "name":
        assert ascending == ["aa", "bb", "cc"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"name": "aa"}, ["aa"]),
        ({"name": ["aa", "bb"]}, ["aa", "bb"]),
        ({"image": "busybox"}, ["cc", "aa", "bb"]),
        ({"image": "other"}, []),
        ({"memory": "64"}, ["cc"]),
        ({"status": "Running"}, ["cc"]),
        ({"status": ["Creating", "Running"]}, ["cc", "aa", "bb"]),
        ({"task_state": "container_creating"}, ["aa", "bb"]),
        ({"auto_remove": "True"}, ["aa"]),
        ({"auto_remove": "False"}, ["cc", "bb"]),
        ({"project_id": "p1"}, ["cc", "aa", "bb"]),
        ({"project_id": "p2"}, []),
        ({"user_id": "u1", "name": "bb"}, ["bb"]),
        ({"resource_url": "x", "expand": "true", "name": "bb"}, ["bb"]),
    ],
)
async def test_filters(api: ApiWorld, params: dict[str, Any], expected: list[str]) -> None:
    await three(api)
    assert await names(api, **params) == expected


async def test_the_host_is_for_admins_to_ask_about(api: ApiWorld) -> None:
    await three(api)
    assert await names(api, api.admin, host="n1", all_projects="yes") == ["cc"]
    assert error_of(await api.member.get(C, params={"host": "n1"})) == (403, "policy-not-authorized")
    assert error_of(await api.member.get(C, params={"sort_key": "host"})) == (403, "policy-not-authorized")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"limit": "0"}, (400, "invalid-value")),
        ({"limit": "-1"}, (400, "invalid-value")),
        ({"limit": "many"}, (400, "invalid-value")),
        ({"sort_dir": "up"}, (400, "invalid-value")),
        ({"sort_key": "colour"}, (400, "invalid-parameter-value")),
        ({"all_projects": "maybe"}, (400, "invalid-value")),
        ({"auto_remove": "maybe"}, (400, "invalid-value")),
        ({"colour": "red"}, (400, "invalid-value")),
        ({"marker": "no-such"}, (404, "container-not-found")),
        ({"marker": "b2f1c7de-0000-4000-8000-000000000000"}, (404, "container-not-found")),
        ({"all_projects": "1"}, (403, "policy-not-authorized")),
    ],
)
async def test_bad_parameters(api: ApiWorld, params: dict[str, str], expected: tuple[int, str]) -> None:
    assert error_of(await api.member.get(C, params=params)) == expected


async def test_a_marker_of_another_project_is_unknown(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    assert error_of(await api.other.get(C, params={"marker": uuid})) == (404, "container-not-found")


@pytest.mark.parametrize("spelling", ["1", "t", "TRUE", "on", "Y", "yes"])
async def test_admins_list_everybodys(api: ApiWorld, spelling: str) -> None:
    await api.create(name="mine")
    api.clock.advance(1)
    await api.create(api.other, name="theirs")
    assert await names(api, api.admin, all_projects=spelling) == ["mine", "theirs"]
    assert await names(api, api.admin) == []


async def test_three_pages_with_filters_show_each_container_once(api: ApiWorld) -> None:
    for place in range(7):
        await api.create(name=f"web-{place}", cpu=0.1, memory=4, labels={"n": str(place)})
        await api.create(name=f"noise-{place}", cpu=0.1, memory=8)
    url: str | None = f"{C}?memory=4&limit=3&sort_key=name&sort_dir=desc&status=Creating"
    pages = []
    while url:
        page = (await api.member.get(url)).json()
        pages.append([item["name"] for item in page["containers"]])
        assert page["next"] is None or page["next"].startswith(f"{BASE}/v1/containers?")
        url = page["next"] and page["next"].removeprefix(BASE)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in page] == [f"web-{place}" for place in reversed(range(7))]


async def test_a_next_link_is_given_only_for_a_full_page(api: ApiWorld) -> None:
    await three(api)
    assert (await api.member.get(C, params={"limit": 4})).json()["next"] is None
    full = (await api.member.get(C, params={"limit": 3})).json()["next"]
    assert (await api.member.get(full)).json() == {"containers": [], "next": None}


async def test_a_kept_list_is_replaced_as_soon_as_anything_in_it_changes(api: ApiWorld) -> None:
    uuids = await three(api)
    assert (await api.member.get(C)).content == (await api.member.get(C)).content
    await api.create(api.other, name="theirs")
    assert await names(api) == ["cc", "aa", "bb"]
    await api.world.running(uuids[1])
    statuses = [item["status"] for item in (await api.member.get(C)).json()["containers"]]
    assert statuses == ["Running", "Running", "Creating"]
    await api.world.node_dies()
    statuses = [item["status"] for item in (await api.member.get(C)).json()["containers"]]
    assert statuses == ["Unknown", "Unknown", "Creating"]
    await api.create(name="dd", cpu=0.1, memory=4)
    assert await names(api) == ["cc", "aa", "bb", "dd"]


async def test_a_kept_answer_still_has_its_own_request_id_and_version(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    for url in (C, f"{C}/{uuid}"):
        first, second = await api.member.get(url), await api.member.get(url)
        assert first.content == second.content
        assert first.headers["x-openstack-request-id"] != second.headers["x-openstack-request-id"]
        assert second.headers["openstack-api-version"] == "container 1.40"
        assert second.headers["content-type"] == "application/json"
        assert (await api.at("1.20").get(url)).headers["openstack-api-version"] == "container 1.20"
    assert api.observed[-1] == ("container_show", "GET", 200)


async def test_a_kept_answer_is_for_one_person_and_one_host_name(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    url = f"{C}/{uuid}"
    assert "runtime" not in (await api.member.get(url)).json()
    assert "runtime" in (await api.admin.get(url)).json()
    assert error_of(await api.other.get(url))[0] == 404
    elsewhere = (await api.member.get(url, headers={"Host": "elsewhere:1"})).json()
    assert elsewhere["links"][0]["href"] == f"http://elsewhere:1/v1/containers/{uuid}"


async def test_ages_go_on_although_nothing_changes(api: ApiWorld) -> None:
    uuid = (await api.create())["uuid"]
    await api.world.place(uuid)
    await api.world.sees(uuid, SeenState.RUNNING, started_at=api.clock.now())
    for elapsed, text in ((0, "Up 0 seconds"), (5, "Up 5 seconds"), (85, "Up 1 mins"), (3600, "Up 1 hours")):
        api.clock.advance(elapsed)
        assert (await api.member.get(f"{C}/{uuid}")).json()["status_detail"] == text
        assert (await api.member.get(C)).json()["containers"][0]["status_detail"] == text


async def test_a_deleted_container_leaves_kept_answers(api: ApiWorld) -> None:
    uuid = await api.running()
    url = f"{C}/{uuid}"
    await api.member.get(url)
    await api.member.get(C)
    await api.world.reaped(uuid)
    assert error_of(await api.member.get(url)) == (404, "container-not-found")
    assert await names(api) == []
