# SPDX-License-Identifier: Apache-2.0
"""Images on hosts, and the search."""

import pytest

from support.api import ApiWorld, error_of
from zun.base.ids import new_uuid
from zun.model.records import ImageObservation
from zun.store import codec, keys
from zun.store.interface import Put


async def pulled(api: ApiWorld, repo: str = "busybox", **members: object) -> dict[str, object]:
    response = await api.admin.post("/v1/images/", json={"repo": repo, "host": "n1"} | members)
    assert response.status_code == 202, response.text
    view: dict[str, object] = response.json()
    assert response.headers["location"].endswith(f"/v1/images/{view['uuid']}")
    return view


async def test_an_image_is_wished_shown_and_deleted(api: ApiWorld) -> None:
    view = await pulled(api, "registry.example:5000/team/app:2.1")
    assert (view["repo"], view["tag"], view["host"]) == ("registry.example:5000/team/app", "2.1", "n1")
    assert (view["image_id"], view["size"], view["status"]) == (None, None, "pulling")
    seen = ImageObservation(str(view["uuid"]), "ready", image_id="sha256:abc", size=4096)
    await api.world.write(Put(keys.image_observation("n1", str(view["uuid"])), codec.encode(seen)))
    shown = (await api.admin.get(f"/v1/images/{view['uuid']}")).json()
    assert (shown["image_id"], shown["size"], shown["status"]) == ("sha256:abc", "4096", "ready")
    assert {"uuid", "links", "image_id", "project_id", "repo", "tag", "size", "host"} <= set(shown)
    gone = await api.admin.delete(f"/v1/images/{view['uuid']}")
    assert (gone.status_code, gone.json()) == (200, None)
    assert error_of(await api.admin.get(f"/v1/images/{view['uuid']}")) == (400, "image-not-found")


async def test_an_image_that_could_not_be_pulled_says_why(api: ApiWorld) -> None:
    view = await pulled(api)
    seen = ImageObservation(str(view["uuid"]), "error", error="There is no such image.")
    await api.world.write(Put(keys.image_observation("n1", str(view["uuid"])), codec.encode(seen)))
    shown = (await api.admin.get(f"/v1/images/{view['uuid']}")).json()
    assert (shown["status"], shown["status_reason"]) == ("error", "There is no such image.")


async def test_images_are_paged_and_unknown_parameters_ignored(api: ApiWorld) -> None:
    for name in ("aa", "cc", "bb"):
        await pulled(api, name)
    found, url = [], "/v1/images/?limit=1&sort_key=repo&anything=else"
    while url:
        page = (await api.admin.get(url)).json()
        found += [image["repo"] for image in page["images"]]
        url = page["next"]
    assert found == ["aa", "bb", "cc"]
    assert error_of(await api.admin.get(f"/v1/images?marker={new_uuid()}")) == (400, "image-not-found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"repo": "busybox"},
        {"host": "n1"},
        {"repo": "b", "host": "n1"},
        {"repo": "busybox", "host": "nowhere"},
        {"repo": "Not A Name", "host": "n1"},
        {"repo": "busybox", "host": "n1", "size": "big"},
        {"repo": "busybox", "host": "n1", "image_pull_policy": "sometimes"},
        {"repo": "busybox", "host": "n1", "extra": 1},
        {"repo": None, "host": "n1"},
        {"repo": ["busybox"], "host": "n1"},
    ],
)
async def test_what_is_wrong_with_a_pull_is_told(api: ApiWorld, body: dict[str, object]) -> None:
    assert error_of(await api.admin.post("/v1/images", json=body))[0] == 400
    assert (await api.admin.get("/v1/images")).json()["images"] == []


async def test_the_same_image_on_the_same_host_is_a_conflict(api: ApiWorld) -> None:
    await pulled(api, "busybox:1.36")
    for body in ({"repo": "busybox", "tag": "1.36"}, {"repo": "docker.io/library/busybox:1.36"}):
        again = await api.admin.post("/v1/images", json=body | {"host": "n1"})
        assert error_of(again) == (409, "image-already-exists")


async def test_images_are_for_admins(api: ApiWorld) -> None:
    uuid = (await pulled(api))["uuid"]
    for method, path in (("GET", ""), ("GET", f"/{uuid}"), ("DELETE", f"/{uuid}")):
        assert error_of(await api.member.request(method, f"/v1/images{path}"))[0] == 403
    assert error_of(await api.member.post("/v1/images", json={"repo": "busybox", "host": "n1"}))[0] == 403
    assert error_of(await api.admin.get("/v1/images/not-a-uuid")) == (400, "image-not-found")


async def test_everybody_may_search_by_names_with_slashes_too(api: ApiWorld) -> None:
    api.node.found_images = [{"name": "busybox", "description": "", "metadata": {"is_official": True}}]
    found = await api.reader.get("/v1/images/busybox/search?image_driver=docker&exact_match=False")
    assert found.json() == api.node.found_images
    await api.reader.get("/v1/images/team%2Fapp/search?exact_match=true&image_driver=None")
    await api.reader.get("/v1/images/team/app/search")
    assert api.node.asked[-3:] == [
        ("search_images", "busybox", False),
        ("search_images", "team/app", True),
        ("search_images", "team/app", False),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "busybox/search?image_driver=glance",
        "busybox/search?image_driver=other",
        "busybox/search?exact_match=yes",
        "busybox/search?more=1",
        "registry.example/app/search",
        "%20/search",
    ],
)
async def test_a_search_that_cannot_be_done_is_refused(api: ApiWorld, path: str) -> None:
    assert error_of(await api.reader.get(f"/v1/images/{path}"))[0] == 400
