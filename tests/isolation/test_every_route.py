# SPDX-License-Identifier: Apache-2.0
"""Every URL of the service, asked from the outside by those who should get nothing there, and by those who should.

What a stranger hears of a thing that is not theirs must be what they would hear if it did not exist.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from isolation.cases import CASES, Whose, routes
from isolation.people import NO_UUID, People, Reply, Somebody, ask_for
from zun.api.routing import Route

ROUTES = routes()
THINGS = (Whose.CONTAINER, Whose.CAPSULE, Whose.REGISTRY, Whose.NETWORK)
NO_NAME = "no-such-thing"


def of(*whose: Whose) -> pytest.MarkDecorator:
    """A test for each route that is somebody's business."""
    chosen = [route for route in ROUTES if route.name in CASES and CASES[route.name].whose in whose]
    return pytest.mark.parametrize("route", chosen, ids=lambda route: route.name)


def make(people: People, whose: Whose) -> dict[str, str]:
    """A thing of the owner's: its uuid and name."""
    owner = people.owner
    makes = {Whose.CONTAINER: owner.makes, Whose.CAPSULE: owner.makes_capsule, Whose.REGISTRY: owner.makes_registry}
    made = people.admin.makes_network(owner.project_id) if whose is Whose.NETWORK else makes[whose]()
    return {"uuid": made["uuid"], "name": made["name"]}


def look(owner: Somebody, whose: Whose, uuid: str) -> object:
    """The thing as its owner sees it; but for what changes by itself."""
    if whose is Whose.REGISTRY:
        return owner.get(f"/v1/registries/{uuid}")
    if whose is Whose.NETWORK:
        return owner.get(f"/v1/networks/{uuid}")
    if whose is Whose.CAPSULE:
        found = owner.get(f"/v1/capsules/{uuid}")
        return [found["status"], [one["started_at"] for one in found["containers"]]]
    view = owner.get(f"/v1/containers/{uuid}")
    actions = owner.get(f"/v1/containers/{uuid}/container_actions")["containerActions"]
    return {key: value for key, value in view.items() if key != "status_detail"}, [one["action"] for one in actions]


@contextmanager
def a_stranger_with(token: str, people: People) -> Iterator[Somebody]:
    somebody = Somebody(people.owner.url, token, "bakery")
    with somebody.http:
        yield somebody


@pytest.fixture(scope="module")
def things(people: People) -> dict[Whose, dict[str, str]]:
    return {whose: make(people, whose) for whose in THINGS}


def test_every_route_has_a_case() -> None:
    names = {route.name for route in ROUTES}
    assert names == set(CASES), "tests/isolation/cases.py says how to add one"


@of(*THINGS)
def test_a_thing_of_another_project_does_not_exist(
    people: People, things: dict[Whose, dict[str, str]], route: Route
) -> None:
    whose = CASES[route.name].whose
    thing = things[whose]
    before = look(people.owner, whose, thing["uuid"])
    for person in (people.stranger, people.looker):
        for ident, nothing in ((thing["uuid"], NO_UUID), (thing["name"], NO_NAME)):
            found, missing = ask_for(person, route, ident=ident), ask_for(person, route, ident=nothing)
            assert found.status == 404, (person.project_id, found)
            assert said(found, ident) == said(missing, nothing)
            assert "bakery" not in found.text
    assert look(people.owner, whose, thing["uuid"]) == before


@of(*THINGS)
def test_nothing_is_looked_up_elsewhere_because_one_asks_for_all_projects(
    people: People, things: dict[Whose, dict[str, str]], route: Route
) -> None:
    whose = CASES[route.name].whose
    path = route.path.replace("{ident}", things[whose]["uuid"]).replace("{request_id}", "req-x")
    query = CASES[route.name].query | {"all_projects": "true"}
    reply = people.stranger.ask(route.method, path, params=query)
    assert reply.status_code in (400, 403, 404, 406), reply.text
    assert things[whose]["name"] not in reply.text


@of(*THINGS)
def test_a_reader_changes_nothing_even_at_home(
    people: People, things: dict[Whose, dict[str, str]], route: Route
) -> None:
    case = CASES[route.name]
    thing = things[case.whose]
    before = look(people.owner, case.whose, thing["uuid"])
    reply = ask_for(people.reader, route, ident=thing["uuid"])
    if case.for_readers(route):
        assert reply.status not in (401, 403), reply
    else:
        assert reply.status == 403, reply
    assert look(people.owner, case.whose, thing["uuid"]) == before


@of(*THINGS)
def test_its_owner_may(people: People, route: Route) -> None:
    """Else the refusals of the other tests would say nothing: the request is a good one."""
    whose = CASES[route.name].whose
    thing = make(people, whose)
    reply = ask_for(people.owner, route, ident=thing["uuid"])
    assert reply.status not in (401, 403, 405, 406, 415), reply
    assert reply.status < 500, reply
    if route.name != "container_action_show":  # whose request id is an invented one
        assert reply.status != 404, reply


@of(Whose.CLOUD)
def test_what_is_the_clouds_is_refused_to_projects(people: People, route: Route) -> None:
    for person in (people.owner, people.reader, people.stranger, people.nobody):
        reply = ask_for(person, route, ident="anything")
        assert reply.status == 403, reply
    assert ask_for(people.admin, route, ident="anything").status not in (401, 403, 405, 406, 415)


@of(Whose.PROJECT)
def test_a_project_is_shown_to_its_own_people_and_to_administrators(people: People, route: Route) -> None:
    project = people.owner.project_id
    assert ask_for(people.owner, route).status == 200
    assert ask_for(people.reader, route).status == 200
    assert ask_for(people.admin, route, project=project).status == 200
    assert ask_for(people.nobody, route).status == 403
    for person in (people.stranger, people.looker):
        found, missing = ask_for(person, route, project=project), ask_for(person, route, project="nowhere")
        assert found.status == 403, found
        assert said(found, project) == said(missing, "nowhere")


@of(Whose.OWN)
def test_readers_look_and_members_make(people: People, route: Route) -> None:
    reads = CASES[route.name].for_readers(route)
    assert ask_for(people.owner, route).status < 300
    assert (ask_for(people.reader, route).status < 300) is reads
    assert ask_for(people.reader, route).status == (200 if reads else 403)


@of(*[whose for whose in Whose if whose is not Whose.PUBLIC])
def test_who_has_no_role_gets_nothing(people: People, things: dict[Whose, dict[str, str]], route: Route) -> None:
    whose = CASES[route.name].whose
    ident = things[whose]["uuid"] if whose in THINGS else "anything"
    reply = ask_for(people.nobody, route, ident=ident)
    assert reply.status == 403, reply
    assert ident not in reply.text


@of(*[whose for whose in Whose if whose is not Whose.PUBLIC])
def test_without_a_token_nothing_is_said(people: People, things: dict[Whose, dict[str, str]], route: Route) -> None:
    whose = CASES[route.name].whose
    ident = things[whose]["uuid"] if whose in THINGS else "anything"
    for token in ("", "invented"):
        with a_stranger_with(token, people) as somebody:
            reply = ask_for(somebody, route, ident=ident)
        assert reply.status == 401, reply
        assert ident not in reply.text


@of(Whose.PUBLIC)
def test_what_is_public_names_nobody_and_nothing_of_theirs(
    people: People, things: dict[Whose, dict[str, str]], route: Route
) -> None:
    with a_stranger_with("", people) as somebody:
        reply = ask_for(somebody, route)
    assert reply.status == 200 or route.method != "GET", reply
    secrets = ["bakery", "brewery", "olga", *(text for thing in things.values() for text in thing.values())]
    assert not [secret for secret in secrets if secret in reply.text]


@pytest.fixture(scope="module")
def capsule(people: People) -> dict[str, object]:
    return people.owner.makes_capsule()


@of(Whose.CONTAINER)
def test_a_container_in_a_capsule_of_another_project_does_not_exist(
    people: People, capsule: dict[str, object], route: Route
) -> None:
    (inside,) = capsule["containers"]  # type: ignore[misc]
    for person in (people.stranger, people.looker):
        found, missing = ask_for(person, route, ident=inside["uuid"]), ask_for(person, route, ident=NO_UUID)
        assert found.status == 404, (person.project_id, found)
        assert said(found, inside["uuid"]) == said(missing, NO_UUID)
    reply = ask_for(people.reader, route, ident=inside["uuid"])
    assert (reply.status == 403) is not CASES[route.name].for_readers(route), reply
    assert people.owner.get(f"/v1/capsules/{capsule['uuid']}")["status"] == "Running"


def said(reply: Reply, ident: str) -> str:
    """The refusal without what the asker put into it, and without its request id."""
    return re.sub(r"req-[0-9a-f-]{36}", "", reply.text.replace(ident, ""))
