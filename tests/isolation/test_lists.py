# SPDX-License-Identifier: Apache-2.0
"""Lists, watches, histories and consoles, and names of things in requests: none of them leads into another project."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from isolation.people import NO_UUID, People, Somebody, watching
from zun.api.container_filters import FILTERS
from zun.model.container_view import KEYS

CONTAINERS, REGISTRIES = "/v1/containers", "/v1/registries"
REGISTRY_KEYS = ("uuid", "user_id", "project_id", "name", "domain", "username")
HIDDEN_KEYS = frozenset({"host", "image_pull_policy", "privileged", "runtime"})


@pytest.fixture(scope="module")
def theirs(people: People) -> dict[str, Any]:
    """A container of the owner's, beside others of the stranger's that look like it."""
    for _ in range(3):
        people.stranger.makes(labels={"of": "the stranger"})
    return people.owner.makes(labels={"of": "the owner"})


@pytest.fixture(scope="module")
def their_registry(people: People) -> dict[str, Any]:
    people.stranger.makes_registry()
    people.stranger.makes_registry()
    return people.owner.makes_registry()


def all_pages(person: Somebody, path: str, **query: Any) -> list[dict[str, Any]]:
    """Every item of a list, page after page."""
    found: list[dict[str, Any]] = []
    answer = person.get(path, **query)
    key = path.rpartition("/")[2]
    while True:
        found += answer[key]
        if answer["next"] is None:
            return found
        parts = urlsplit(answer["next"])
        answer = person.get(parts.path, **parse_qs(parts.query))


def is_all_of(items: list[dict[str, Any]], person: Somebody) -> bool:
    return bool(items) and {item["project_id"] for item in items} == {person.project_id}


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", sorted(key.name for key in KEYS if key.name not in HIDDEN_KEYS | {"links"}))
def test_no_order_brings_containers_of_others(people: People, theirs: dict[str, Any], key: str, direction: str) -> None:
    for person in (people.stranger, people.looker):
        items = all_pages(person, CONTAINERS, sort_key=key, sort_dir=direction, limit=2)
        assert is_all_of(items, person)
        assert theirs["uuid"] not in json.dumps(items)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", REGISTRY_KEYS)
def test_no_order_brings_registries_of_others(
    people: People, their_registry: dict[str, Any], key: str, direction: str
) -> None:
    items = all_pages(people.stranger, REGISTRIES, sort_key=key, sort_dir=direction, limit=1)
    assert is_all_of(items, people.stranger)


@pytest.mark.parametrize("name", sorted(FILTERS - HIDDEN_KEYS))
def test_no_filter_brings_containers_of_others(people: People, theirs: dict[str, Any], name: str) -> None:
    value = theirs[name]
    found = people.stranger.get(CONTAINERS, **{name: "None" if value is None else str(value)})["containers"]
    assert theirs["uuid"] not in json.dumps(found)
    assert {item["project_id"] for item in found} <= {people.stranger.project_id}
    if name in ("name", "project_id", "user_id"):
        assert found == []


@pytest.mark.parametrize("key", sorted(HIDDEN_KEYS))
def test_what_is_hidden_is_not_found_out_by_sorting(people: People, key: str) -> None:
    assert people.stranger.ask("GET", CONTAINERS, params={"sort_key": key}).status_code == 403


@pytest.mark.parametrize("name", [key for key in REGISTRY_KEYS if key != "uuid"])
def test_no_filter_brings_registries_of_others(people: People, their_registry: dict[str, Any], name: str) -> None:
    found = people.stranger.get(REGISTRIES, **{name: their_registry[name]})["registries"]
    assert their_registry["uuid"] not in json.dumps(found)


@pytest.mark.parametrize("path", [CONTAINERS, REGISTRIES])
def test_a_marker_in_another_project_is_none(
    people: People, theirs: dict[str, Any], their_registry: dict[str, Any], path: str
) -> None:
    marker = (theirs if path == CONTAINERS else their_registry)["uuid"]
    found, missing = (people.stranger.ask("GET", path, params={"marker": each}) for each in (marker, NO_UUID))
    assert found.status_code == missing.status_code == 404
    titles = [reply.json()["errors"][0]["title"] for reply in (found, missing)]
    assert titles[0].replace(marker, "") == titles[1].replace(NO_UUID, "")


@pytest.mark.parametrize(
    "path", [CONTAINERS, REGISTRIES, "/v1/watch", "/v1/containers/anything", "/v1/capsules", "/v1/capsules/anything"]
)
@pytest.mark.parametrize("word", ["1", "true", "True", "yes", "on"])
def test_all_projects_are_for_administrators(people: People, path: str, word: str) -> None:
    for person in (people.owner, people.stranger, people.looker):
        assert person.ask("GET", path, params={"all_projects": word}).status_code == 403


def test_an_administrator_sees_everybodys_when_asking_for_it(
    people: People, theirs: dict[str, Any], their_registry: dict[str, Any]
) -> None:
    for path, uuid in ((CONTAINERS, theirs["uuid"]), (REGISTRIES, their_registry["uuid"])):
        assert uuid not in json.dumps(all_pages(people.admin, path))
        assert uuid in json.dumps(all_pages(people.admin, path, all_projects="true", limit=2))


def test_deleting_in_all_projects_is_for_administrators(people: People, theirs: dict[str, Any]) -> None:
    path = f"{CONTAINERS}/{theirs['uuid']}"
    for query in ({"all_projects": "true"}, {"force": "true"}, {"all_projects": "true", "force": "true"}):
        assert people.stranger.ask("DELETE", path, params=query).status_code in (403, 404)
    assert people.owner.get(path)["status"] == "Running"


def test_an_answer_kept_for_one_is_not_given_to_another(people: People, theirs: dict[str, Any]) -> None:
    for _ in range(3):
        assert theirs["uuid"] in json.dumps(people.owner.get(CONTAINERS))
        assert theirs["uuid"] not in json.dumps(people.stranger.get(CONTAINERS))
        path = f"{CONTAINERS}/{theirs['uuid']}"
        assert people.owner.ask("GET", path).status_code == 200
        assert people.stranger.ask("GET", path).status_code == 404
        assert "host" in people.admin.get(path)
        assert "host" not in people.owner.get(path)


# What happens


def rename(owner: Somebody, thing: dict[str, Any]) -> None:
    """Let a container change, and change back."""
    for name in ("renamed-meanwhile", thing["name"]):
        assert owner.ask("PATCH", f"{CONTAINERS}/{thing['uuid']}", json={"name": name}).status_code == 200


def now(person: Somebody) -> str:
    """Where the story stands."""
    with watching(person, {}) as events:
        return next(events)["id"]


def test_a_watch_tells_of_ones_own_only(people: People, theirs: dict[str, Any]) -> None:
    before = now(people.stranger)
    with watching(people.stranger, {}) as live:
        assert next(live)["event"] == "ready"
        rename(people.owner, theirs)
        people.owner.ask("DELETE", f"{CONTAINERS}/{people.owner.makes()['uuid']}", params={"stop": "true"})
        own = people.stranger.ask("POST", CONTAINERS, json={"image": "busybox"}).json()["uuid"]
        with watching(people.stranger, {"since": before}) as resumed:
            for events in (live, resumed):
                first = json.loads(next(events)["data"])
                assert first["container"]["uuid"] == own


@pytest.mark.parametrize("resumed", [False, True])
def test_a_watch_for_a_container_of_others_stays_silent(people: People, theirs: dict[str, Any], resumed: bool) -> None:
    query = {"container": theirs["uuid"]} | ({"since": now(people.owner)} if resumed else {})
    with watching(people.stranger, query, signs=True) as silent, watching(people.owner, query) as told:
        rename(people.owner, theirs)
        while theirs["uuid"] not in next(told).get("data", ""):
            pass
        heard = [next(silent) for _ in range(3)]
    assert "sign of life" in heard[-1]
    assert theirs["uuid"] not in json.dumps(heard)
    assert {event.get("event", "ready") for event in heard} == {"ready"}


def test_a_history_is_found_under_its_own_container_only(people: People, theirs: dict[str, Any]) -> None:
    (first, *_) = people.owner.get(f"{CONTAINERS}/{theirs['uuid']}/container_actions")["containerActions"]
    own = people.stranger.makes()["uuid"]
    path = f"{CONTAINERS}/{own}/container_actions/{first['request_id']}"
    assert people.stranger.ask("GET", path).status_code == 404


# Consoles


def test_a_command_is_reached_through_its_own_container_only(people: People, theirs: dict[str, Any]) -> None:
    query = {"command": "sh", "interactive": "True", "run": "False"}
    prepared = people.owner.ask("POST", f"{CONTAINERS}/{theirs['uuid']}/execute", params=query).json()
    own = people.stranger.makes()["uuid"]
    size = {"exec_id": prepared["exec_id"], "w": 80, "h": 25}
    found = people.stranger.ask("POST", f"{CONTAINERS}/{own}/execute_resize", params=size)
    missing = people.stranger.ask("POST", f"{CONTAINERS}/{own}/execute_resize", params=size | {"exec_id": "b" * 64})
    assert found.status_code == missing.status_code
    assert found.status_code >= 400


@pytest.mark.parametrize("what", ["container", "command", "both"])
def test_a_consoles_token_opens_nothing_but_what_it_was_given_for(
    people: People, theirs: dict[str, Any], what: str
) -> None:
    own = people.stranger.makes()["uuid"]
    query = {"command": "sh", "interactive": "True", "run": "False"}
    mine, others = (
        person.ask("POST", f"{CONTAINERS}/{uuid}/execute", params=query).json()
        for person, uuid in ((people.stranger, own), (people.owner, theirs["uuid"]))
    )
    url = mine["proxy_url"]
    if what in ("container", "both"):
        url = url.replace(own, theirs["uuid"])
    if what in ("command", "both"):
        url = url.replace(mine["exec_id"], others["exec_id"])
    assert url != mine["proxy_url"]
    with pytest.raises(InvalidStatus) as refused:
        connect(url, open_timeout=60, proxy=None)
    assert refused.value.response.status_code in (401, 403, 404)


# What a request names


@pytest.mark.parametrize("by", ["uuid", "name"])
def test_a_registry_of_others_cannot_be_used(people: People, their_registry: dict[str, Any], by: str) -> None:
    wanted = their_registry[by]
    new = {"image": "r.example/app", "registry": wanted}
    found = people.stranger.ask("POST", CONTAINERS, json=new)
    nothing = NO_UUID if by == "uuid" else "no-such-registry"
    missing = people.stranger.ask("POST", CONTAINERS, json=new | {"registry": nothing})
    assert (found.status_code, missing.status_code) == (404, 404)
    titles = [reply.json()["errors"][0]["title"] for reply in (found, missing)]
    assert titles[0].replace(wanted, "") == titles[1].replace(nothing, "")


@pytest.mark.parametrize("member", ["project_id", "user_id", "uuid", "status", "links"])
def test_nobody_makes_things_for_somebody_else(people: People, member: str) -> None:
    new = {"image": "busybox", member: people.owner.project_id}
    assert people.stranger.ask("POST", CONTAINERS, json=new).status_code == 400
    registry = {"registry": {"name": "mine", "domain": "r.example", member: people.owner.project_id}}
    assert people.stranger.ask("POST", REGISTRIES, json=registry).status_code == 400


def test_an_image_that_others_committed_is_theirs(people: People, theirs: dict[str, Any]) -> None:
    committed = people.owner.ask(
        "POST", f"{CONTAINERS}/{theirs['uuid']}/commit", params={"repository": "their-work", "tag": "v1"}
    )
    assert committed.status_code == 202, committed.text
    found = people.stranger.ask("GET", "/v1/images/their-work/search").json()
    assert found == []
