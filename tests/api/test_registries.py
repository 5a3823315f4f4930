# SPDX-License-Identifier: Apache-2.0
"""Private registries: whose they are, and that no password comes out."""

from typing import Any

import httpx
import pytest

from support.api import ApiWorld, error_of
from zun.store import keys


async def added(client: httpx.AsyncClient, name: str = "ours", **members: Any) -> dict[str, Any]:
    body = {"registry": {"name": name, "domain": "registry.example:5000"} | members}
    response = await client.post("/v1/registries", json=body)
    assert response.status_code == 201, response.text
    view: dict[str, Any] = response.json()["registry"]
    assert response.headers["location"].endswith(f"/v1/registries/{view['uuid']}")
    return view


async def test_a_registry_is_added_shown_changed_and_removed(api: ApiWorld) -> None:
    view = await added(api.member, username="me", password="secret")
    assert set(view) == {"uuid", "links", "user_id", "project_id", "name", "domain", "username", "password"}
    assert (view["project_id"], view["user_id"], view["password"]) == ("p1", "u1", "***")
    for ident in ("ours", view["uuid"]):
        assert (await api.reader.get(f"/v1/registries/{ident}")).json() == {"registry": view}
    changed = await api.member.patch("/v1/registries/ours", json={"registry": {"name": "theirs", "username": None}})
    assert changed.json()["registry"] == view | {"name": "theirs", "username": None}
    assert (await api.member.patch("/v1/registries/theirs", json={"registry": {}})).status_code == 200
    gone = await api.member.delete("/v1/registries/theirs")
    assert (gone.status_code, gone.content) == (204, b"")
    assert error_of(await api.reader.get(f"/v1/registries/{view['uuid']}")) == (404, "registry-not-found")


async def test_the_password_is_nowhere_in_clear(api: ApiWorld) -> None:
    view = await added(api.member, username="me", password="do-not-tell")
    answers = [await api.member.get("/v1/registries"), await api.member.get(f"/v1/registries/{view['uuid']}")]
    assert all("do-not-tell" not in answer.text for answer in answers)
    stored = await api.world.store.get(keys.registry(view["uuid"]))
    assert stored is not None
    assert b"do-not-tell" not in stored.value


async def test_lists_are_of_the_project_filtered_and_paged(api: ApiWorld) -> None:
    for name in ("aa", "bb", "cc"):
        await added(api.member, name, username="me" if name == "bb" else "you")
        api.clock.advance(1)
    await added(api.other, "dd")
    listed = (await api.reader.get("/v1/registries")).json()
    assert [item["name"] for item in listed["registries"]] == ["aa", "bb", "cc"]
    assert all("links" not in item for item in listed["registries"])
    filtered = (await api.reader.get("/v1/registries?username=me&name=bb")).json()
    assert [item["name"] for item in filtered["registries"]] == ["bb"]
    everything = (await api.admin.get("/v1/registries?all_projects=1&sort_key=name&sort_dir=desc")).json()
    assert [item["name"] for item in everything["registries"]] == ["dd", "cc", "bb", "aa"]
    page = (await api.reader.get("/v1/registries?limit=2&username=you")).json()
    rest = (await api.reader.get(page["next"])).json()
    assert [item["name"] for item in page["registries"] + rest["registries"]] == ["aa", "cc"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("more=1", (400, "invalid-value")),
        ("limit=0", (400, "invalid-value")),
        ("sort_key=password", (400, "invalid-parameter-value")),
        ("all_projects=perhaps", (400, "invalid-value")),
        ("marker=5f3c6a52-8c1e-4d0b-9a9e-0d6a54d0c0de", (404, "registry-not-found")),
        ("all_projects=1", (403, "policy-not-authorized")),
    ],
)
async def test_bad_queries_are_refused(api: ApiWorld, query: str, expected: tuple[int, str]) -> None:
    assert error_of(await api.member.get(f"/v1/registries?{query}")) == expected


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"registry": None},
        {"registry": []},
        {"registry": {}},
        {"registry": {"name": "ours"}},
        {"registry": {"name": "ours", "domain": ""}},
        {"registry": {"name": "ours", "domain": "https://registry.example"}},
        {"registry": {"name": "x", "domain": "registry.example"}},
        {"registry": {"name": "ours", "domain": "registry.example", "more": 1}},
        {"registry": {"name": "ours", "domain": "registry.example"}, "more": 1},
        {"registry": {"name": "ours", "domain": "registry.example", "password": 5}},
        {"registry": {"name": "ours", "domain": "registry.example", "password": "a\x00b"}},
    ],
)
async def test_what_is_wrong_with_a_registry_is_told(api: ApiWorld, body: object) -> None:
    assert error_of(await api.member.post("/v1/registries", json=body)) == (400, "schema-validation-error")


async def test_a_registry_of_another_project_is_not_there(api: ApiWorld) -> None:
    view = await added(api.member)
    for method in ("GET", "PATCH", "DELETE"):
        response = await api.other.request(method, f"/v1/registries/{view['uuid']}", json={"registry": {}})
        assert error_of(response) == (404, "registry-not-found")
    assert (await api.admin.get(f"/v1/registries/{view['uuid']}")).status_code == 200


async def test_a_reader_changes_no_registry(api: ApiWorld) -> None:
    view = await added(api.member)
    refused = [
        await api.reader.post("/v1/registries", json={"registry": {"name": "more", "domain": "a.example"}}),
        await api.reader.patch(f"/v1/registries/{view['uuid']}", json={"registry": {"name": "more"}}),
        await api.reader.delete(f"/v1/registries/{view['uuid']}"),
    ]
    assert [error_of(response)[0] for response in refused] == [403, 403, 403]


async def test_an_ambiguous_name_is_a_conflict(api: ApiWorld) -> None:
    await added(api.member)
    await added(api.member)
    assert error_of(await api.member.get("/v1/registries/ours")) == (409, "conflict")
