# SPDX-License-Identifier: Apache-2.0
"""Tokens of a real Keystone: the identity's contract, and which of them open the service and which do not."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx
import pytest

from isolation.people import Somebody, watching
from support.cloud import Cloud, Person
from support.keystone_server import KeystoneServer
from support.service import Service, eventually
from zun.base.clock import ManualClock, SystemClock
from zun.drivers.identity.contract import Door, IdentityContract
from zun.drivers.identity.keystone.identity import KeystoneIdentity
from zun.drivers.identity.keystone.options import KeystoneOptions
from zun.model.caller import Caller

_NUMBERS = count()
_LIFE_SECONDS = 3600.0
RULES = [
    {"service": "container", "method": "GET", "path": "/v1/containers"},
    {"service": "container", "method": "POST", "path": "/v1/containers/*/start"},
]


class Renaming:
    """The identity under test. Keystone chooses ids: here they go by the names under which the contract let people in."""

    def __init__(self, identity: KeystoneIdentity) -> None:
        self._identity = identity
        self.names: dict[str, str] = {}

    @property
    def challenge(self) -> str:
        return self._identity.challenge

    def cached(self, token: str) -> Caller | None:
        found = self._identity.cached(token)
        return None if found is None else self._named(found)

    async def authenticate(self, token: str, asked: Any) -> Caller:
        return self._named(await self._identity.authenticate(token, asked))

    async def close(self) -> None:
        await self._identity.close()

    def _named(self, caller: Caller) -> Caller:
        return Caller(
            self.names[caller.user_id],
            self.names[caller.project_id],
            frozenset(caller.roles),
            is_admin=caller.is_admin,
            expires_at=caller.expires_at,
        )


@pytest.fixture
async def door(cloud: Cloud, service_user: Person) -> AsyncIterator[Door]:
    """Time is ours; a token that is to live shorter than Keystone's do is looked at when the rest of its life is over."""
    clock = ManualClock(SystemClock().now())
    options = KeystoneOptions(
        auth_url=cloud.url, username="zun", password=service_user.password, project_name="service", token_cache_time=20
    )
    keystone = KeystoneIdentity(options, clock=clock, is_admin=lambda roles: "admin" in roles)
    identity = Renaming(keystone)
    people: dict[str, Person] = {}

    async def admit(user: str, project: str, roles: tuple[str, ...], expires: float | None) -> str:
        number = next(_NUMBERS)
        person = people[user] = cloud.person(f"{user}-{number}", f"{project}-{number}", *roles)
        identity.names |= {person.user_id: user, person.project_id: project}
        if expires is not None:
            clock.advance(_LIFE_SECONDS - expires)
        return cloud.token(person)

    async def shut_out(user: str) -> None:
        cloud.enable_user(people[user], enabled=False)

    async def pass_time(seconds: float) -> None:
        clock.advance(seconds)

    yield Door(identity, admit, shut_out, pass_time, settle_seconds=20.0)
    await identity.close()


class TestRealKeystone(IdentityContract):
    """See `zun.drivers.identity.contract`."""


def asks(
    house: Service, token: str | None, method: str = "GET", path: str = "/v1/containers", **more: Any
) -> httpx.Response:
    headers = {"OpenStack-API-Version": "container 1.40"} | ({} if token is None else {"X-Auth-Token": token})
    return httpx.request(method, house.url + path, headers=headers | more.pop("headers", {}), timeout=30, **more)


@pytest.mark.parametrize("token", [None, "", "invented", "gAAAAA" + "x" * 177])
def test_without_a_good_token_one_is_told_where_to_log_in(house: Service, cloud: Cloud, token: str | None) -> None:
    reply = asks(house, token)
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == f'Keystone uri="{cloud.url}/v3"'
    error = reply.json()["error"]
    assert (error["code"], error["title"]) == (401, "Unauthorized")
    assert error["message"]


def test_the_roles_of_a_token_decide_what_it_may(house: Service, cloud: Cloud) -> None:
    reader = cloud.token(cloud.person("rita", "bakery", "reader"))
    member = cloud.token(cloud.person("mo", "bakery", "member"))
    nobody = cloud.token(cloud.person("nora", "bakery", "service"))
    admin = cloud.token(cloud.admin)
    new = {"image": "busybox"}
    statuses = {
        name: [
            asks(house, token).status_code,
            asks(house, token, "POST", json=new).status_code,
            asks(house, token, path="/v1/containers?all_projects=1").status_code,
        ]
        for name, token in (("reader", reader), ("member", member), ("nobody", nobody), ("admin", admin))
    }
    assert statuses == {
        "reader": [200, 403, 403],
        "member": [200, 202, 403],
        "nobody": [403, 403, 403],
        "admin": [200, 202, 200],
    }


def test_a_container_belongs_to_the_user_and_project_of_the_token(house: Service, cloud: Cloud, ann: Person) -> None:
    made = asks(house, cloud.token(ann), "POST", json={"image": "busybox"}).json()
    assert (made["user_id"], made["project_id"]) == (ann.user_id, ann.project_id)


def test_tokens_without_a_project_are_refused_with_what_to_do(house: Service, cloud: Cloud) -> None:
    person = cloud.person("sid", "bakery", "admin")
    cloud.grant_on_domain(person, "admin")
    cloud.grant_on_system(person, "admin")
    for scope in ({"system": {"all": True}}, {"domain": {"id": "default"}}, "unscoped"):
        reply = asks(house, cloud.token(person, scope))
        assert reply.status_code == 403, scope
        assert "OS_PROJECT_NAME" in reply.json()["errors"][0]["detail"]


def test_a_token_that_was_taken_away_stops_within_the_cache_time(house: Service, cloud: Cloud) -> None:
    token = cloud.token(cloud.person("tom", "bakery", "member"))
    assert asks(house, token).status_code == 200
    cloud.revoke(token)
    eventually(lambda: asks(house, token).status_code == 401, "the revoked token stops", seconds=20)


def test_a_watch_ends_when_its_token_is_taken_away(house: Service, cloud: Cloud) -> None:
    person = cloud.person("wanda", "bakery", "member")
    watcher = Somebody(house.url, cloud.token(person), person.project_id)
    with watcher.http, watching(watcher, {}, signs=True) as events:
        assert next(events)["event"] == "ready"
        cloud.revoke(watcher.token)
        assert {"sign of life"} >= {key for event in events for key in event}


@pytest.mark.parametrize("what", ["user", "project", "role"])
def test_who_loses_account_project_or_role_stays_out(house: Service, cloud: Cloud, what: str) -> None:
    person = cloud.person(f"gone-{what}", f"gone-{what}", "member")
    token = cloud.token(person)
    assert asks(house, token).status_code == 200
    if what == "user":
        cloud.enable_user(person, enabled=False)
    elif what == "project":
        cloud.enable_project(person.project_id, enabled=False)
    else:
        cloud.take(person, "member")
    eventually(lambda: asks(house, token).status_code == 401, f"no {what}, no entry", seconds=20)


def test_an_application_credential_opens_its_project(house: Service, cloud: Cloud, ann: Person) -> None:
    token = cloud.token_of(cloud.credential(ann, "all"))
    made = asks(house, token, "POST", json={"image": "busybox"})
    assert made.status_code == 202
    assert made.json()["project_id"] == ann.project_id


def test_access_rules_are_heeded_however_often_and_in_whatever_order(house: Service, cloud: Cloud, ann: Person) -> None:
    token = cloud.token_of(cloud.credential(ann, "some", RULES))
    uuid = asks(house, cloud.token(ann), "POST", json={"image": "busybox"}).json()["uuid"]
    for _ in range(2):
        assert asks(house, token).status_code == 200
        assert asks(house, token, path="/v1/containers/").status_code == 200
        assert asks(house, token, "POST", path="/containers//some/start").status_code == 404  # the rule lets it pass
        for method, path in (
            ("GET", f"/v1/containers/{uuid}"),
            ("DELETE", f"/v1/containers/{uuid}"),
            ("POST", f"/v1/containers/{uuid}/stop"),
            ("GET", "/v1/images"),
            ("GET", "/v1/watch"),
        ):
            refused = asks(house, token, method, path)
            assert refused.status_code == 403, (method, path)
            assert "access rules" in refused.json()["errors"][0]["detail"]


def test_a_service_token_lets_a_request_behind_rules_pass_only_if_it_is_a_services(
    house: Service, cloud: Cloud, ann: Person, service_user: Person
) -> None:
    token = cloud.token_of(cloud.credential(ann, "narrow", RULES[:1]))
    path = "/v1/registries"
    service = {"X-Service-Token": cloud.token(service_user)}
    assert asks(house, token, path=path, headers=service).status_code == 200
    for not_a_service in (cloud.token(ann), "invented", token):
        assert asks(house, token, path=path, headers={"X-Service-Token": not_a_service}).status_code == 403


def test_while_keystone_is_away_known_tokens_work_and_new_ones_are_told_to_come_again(
    house: Service, cloud: Cloud, server: KeystoneServer, ann: Person
) -> None:
    known, new = cloud.token(ann), cloud.token(ann)
    with server.stopped():
        reply = asks(house, new)
        assert reply.status_code == 503
        assert "try again" in reply.json()["errors"][0]["detail"]
        assert cloud.url not in reply.text
    assert eventually(lambda: asks(house, new).status_code == 200, "it goes on when Keystone is back")
    assert asks(house, known).status_code == 200
    assert "cannot be reached" in house.said()


def test_nothing_secret_is_in_the_log(house: Service, cloud: Cloud, ann: Person, service_user: Person) -> None:
    token = cloud.token(ann)
    asks(house, token)
    log = house.log.read_text()
    assert token not in log
    assert service_user.password not in log
