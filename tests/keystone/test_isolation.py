# SPDX-License-Identifier: Apache-2.0
"""Projects of a real Keystone keep to themselves: some of every kind of URL; tests/isolation/ tries them all."""

import json
from collections.abc import Iterator

import pytest

from isolation.cases import CASES, Whose, routes
from isolation.people import NO_UUID, People, Somebody, ask_for
from support.cloud import Cloud
from support.service import Service
from zun.api.routing import Route

SOME = (
    "container_list", "container_show", "container_update", "container_delete", "container_stop", "container_execute",
    "container_logs", "container_archive_get", "container_action_list", "registry_show", "registry_delete",
    "quota_show", "service_list", "host_list", "image_list", "watch",
)  # fmt: skip


@pytest.fixture(scope="module")
def people(house: Service, cloud: Cloud) -> Iterator[People]:
    def somebody(name: str, project: str, *roles: str) -> Somebody:
        person = cloud.person(name, project, *roles)
        return Somebody(house.url, cloud.token(person), person.project_id)

    made = People(
        owner=somebody("olga", "pottery", "member"),
        reader=somebody("rita-2", "pottery", "reader"),
        nobody=somebody("nora-2", "pottery", "service"),
        stranger=somebody("sven", "smithy", "member"),
        looker=somebody("lena", "smithy", "reader"),
        admin=Somebody(house.url, cloud.token(cloud.admin), cloud.project("admin")),
    )
    yield made
    made.close()


@pytest.mark.parametrize("route", [route for route in routes() if route.name in SOME], ids=lambda route: route.name)
def test_what_is_of_one_project_is_not_of_another(people: People, route: Route) -> None:
    case = CASES[route.name]
    if case.whose in (Whose.CONTAINER, Whose.REGISTRY):
        thing = people.owner.makes() if case.whose is Whose.CONTAINER else people.owner.makes_registry()
        for person in (people.stranger, people.looker):
            for ident in (thing["uuid"], thing["name"], NO_UUID):
                assert ask_for(person, route, ident=ident).status == 404
        home = ask_for(people.reader, route, ident=thing["uuid"]).status
        assert (home != 403) is case.for_readers(route)
        assert ask_for(people.nobody, route, ident=thing["uuid"]).status == 403
        assert ask_for(people.admin, route, ident=thing["uuid"]).status < 300
    elif case.whose is Whose.PROJECT:
        assert ask_for(people.stranger, route, project=people.owner.project_id).status == 403
        assert ask_for(people.admin, route, project=people.owner.project_id).status == 200
    elif case.whose is Whose.CLOUD:
        assert ask_for(people.owner, route).status == 403
        assert ask_for(people.admin, route).status == 200
    else:
        assert ask_for(people.owner, route).status == 200
        assert ask_for(people.nobody, route).status == 403


def test_lists_show_ones_own_and_administrators_everybodys(people: People) -> None:
    mine, theirs = people.owner.makes()["uuid"], people.stranger.makes()["uuid"]
    seen = {name: json.dumps(getattr(people, name).get("/v1/containers")) for name in ("owner", "looker", "admin")}
    assert [mine in seen[name] for name in seen] == [True, False, False]
    assert [theirs in seen[name] for name in seen] == [False, True, False]
    everybodys = json.dumps(people.admin.get("/v1/containers", all_projects="1"))
    assert mine in everybodys
    assert theirs in everybodys
    assert people.owner.ask("GET", "/v1/containers?all_projects=1").status_code == 403
