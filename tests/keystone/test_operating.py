# SPDX-License-Identifier: Apache-2.0
"""What an operator does: `zund keystone register` and `zund keystone check` against a real Keystone."""

import asyncio
import time

import msgspec
import pytest

from lab.ports import free_port
from support.cloud import Cloud, Person
from support.cloud_operator import Zund, settings_of
from support.keystone_server import KeystoneServer
from support.service import Service
from zun.base.clock import ManualClock, SystemClock
from zun.drivers.identity.base import Asked
from zun.drivers.identity.keystone.checking import check
from zun.drivers.identity.keystone.identity import KeystoneIdentity
from zun.drivers.identity.keystone.options import KeystoneOptions
from zun.model.errors import Unavailable

URL = "https://cloud.example:9517"


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """A service type of this test's own, so that the real entry stays as it is."""
    return f"container-{abs(hash(request.node.name))}"


@pytest.fixture
def settings(cloud: Cloud, service_user: Person, kind: str) -> str:
    return settings_of(cloud, service_user, service_type=kind)


def endpoints(cloud: Cloud, kind: str) -> dict[str, str]:
    (service,) = cloud.get("/services", type=kind)["services"]
    found = cloud.get("/endpoints", service_id=service["id"])["endpoints"]
    assert len(found) == len({one["interface"] for one in found})
    return {one["interface"]: one["url"] for one in found}


def test_registering_twice_is_registering_once(cloud: Cloud, zund: Zund, kind: str, settings: str) -> None:
    code, said = zund("register", "--public-url", URL, settings=settings)
    assert code == 0, said
    assert said.count(": made") == 4
    assert "user zun of project service can check tokens" in said
    expected = dict.fromkeys(("public", "internal", "admin"), f"{URL}/v1")
    assert endpoints(cloud, kind) == expected
    code, said = zund("register", "--public-url", f"{URL}/v1/", settings=settings)
    assert code == 0, said
    assert said.count("there already") == 4
    assert endpoints(cloud, kind) == expected


def test_registering_again_with_other_urls_changes_them(cloud: Cloud, zund: Zund, kind: str, settings: str) -> None:
    zund("register", "--public-url", URL, settings=settings)
    words = ["--public-url", URL, "--internal-url", "http://10.0.0.1:9517", "--admin-url", "http://10.0.0.2/container"]
    code, said = zund("register", *words, "--region", "RegionOne", settings=settings)
    assert code == 0, said
    assert f"changed, it was {URL}/v1" in said
    assert endpoints(cloud, kind) == {
        "public": f"{URL}/v1",
        "internal": "http://10.0.0.1:9517/v1",
        "admin": "http://10.0.0.2/container/v1",
    }


def test_what_a_person_must_decide_is_left_as_it_is(cloud: Cloud, zund: Zund, kind: str, settings: str) -> None:
    for name in ("one", "two"):
        cloud.service(kind, name, "http://somewhere/v1")
    code, said = zund("register", "--public-url", URL, settings=settings)
    assert code == 1
    assert "2 services of type" in said
    assert len(cloud.get("/services", type=kind)["services"]) == 2


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--public-url", "cloud.example"], {}, "is no URL"),
        (["--public-url", URL, "--region", "Mars"], {}, "the cloud has RegionOne"),
        (["--public-url", URL], {"OS_AUTH_URL": ""}, "set OS_AUTH_URL"),
        (["--public-url", URL], {"OS_PASSWORD": "wrong"}, "refuses the login"),
        (["--public-url", URL], {"OS_AUTH_URL": "http://127.0.0.1:9"}, "cannot be used"),
    ],
)
def test_what_keeps_one_from_registering_is_one_line(
    zund: Zund, settings: str, words: list[str], environment: dict[str, str], said: str
) -> None:
    code, output = zund("register", *words, settings=settings, **environment)
    assert code == 1
    assert said in output
    assert "Traceback" not in output
    assert len(output.splitlines()) == 1


def test_only_an_administrator_registers(zund: Zund, settings: str, ann: Person) -> None:
    ann_is = {"OS_USERNAME": ann.name, "OS_PASSWORD": ann.password, "OS_PROJECT_NAME": ann.project}
    code, said = zund("register", "--public-url", URL, settings=settings, **ann_is)
    assert code == 1
    assert "use the cloud's administrator" in said


def test_a_service_user_who_may_not_check_tokens_is_found_out_when_registering(
    cloud: Cloud, zund: Zund, kind: str
) -> None:
    weak = cloud.person(f"weak-{kind}", "service", "member")
    code, said = zund("register", "--public-url", URL, settings=settings_of(cloud, weak, service_type=kind))
    assert code == 1
    assert "BAD" in said
    assert "give it the role service" in said


def test_where_all_is_well_the_check_says_so(house: Service, cloud: Cloud, zund: Zund, service_user: Person) -> None:
    code, said = zund("check", settings=settings_of(cloud, service_user))
    assert code == 0, said
    assert "BAD" not in said
    for what in ("speaks v3", "logged in as user zun", "clocks", "roles", "is this service"):
        assert what in said


def test_each_thing_that_is_wrong_is_named_with_what_to_do(
    house: Service, cloud: Cloud, service_user: Person, kind: str
) -> None:
    weak = cloud.person(f"weak-{kind}", "service", "member")
    nowhere = f"http://127.0.0.1:{free_port()}"
    for wrong, said in (
        ({"password": "wrong"}, "refuses the login"),
        ({"project_name": "nowhere"}, "refuses the login"),
        ({"auth_url": nowhere}, "does not answer"),
        ({"auth_url": house.url}, "is no Keystone"),
        ({"auth_url": ""}, "auth_url is needed"),
        ({"www_authenticate_uri": ""}, "www_authenticate_uri is not set"),
        ({"www_authenticate_uri": nowhere}, "www_authenticate_uri"),
        ({"region_name": "Mars"}, "has no internal endpoint of Keystone in region Mars"),
        ({"service_type": kind}, f"has no service of type {kind}"),
        ({"username": weak.name, "password": weak.password}, "not enough to check"),
    ):
        options = msgspec.structs.replace(options_of(cloud, service_user), **wrong)
        bad = "\n".join(f"{one.what} {one.advice}" for one in check(options, SystemClock()) if not one.well)
        assert said in bad, wrong
        assert service_user.password not in bad


def test_what_is_wrong_is_told_by_the_command_too(
    house: Service, cloud: Cloud, zund: Zund, service_user: Person
) -> None:
    code, said = zund("check", settings=settings_of(cloud, service_user, password="wrong"))
    assert code == 1
    assert "BAD user zun of project service cannot log in" in said
    assert "correct user, password, project and domains" in said
    assert "Traceback" not in said


def test_a_catalogue_that_leads_elsewhere_is_noticed(
    house: Service, cloud: Cloud, service_user: Person, kind: str
) -> None:
    for url, said in (
        (f"{house.url}", "does not end in /v1"),
        (f"{cloud.url}/v1", "is another service"),
        (f"http://127.0.0.1:{free_port()}/v1", "does not answer"),
    ):
        service = cloud.service(kind, "zun", url)
        options = msgspec.structs.replace(options_of(cloud, service_user), service_type=kind)
        (bad,) = [one for one in check(options, SystemClock()) if not one.well]
        assert said in bad.what
        cloud.remove_service(service)


@pytest.mark.parametrize("ahead", [-300, 300])
def test_a_clock_that_is_wrong_is_noticed(cloud: Cloud, service_user: Person, ahead: int) -> None:
    options = options_of(cloud, service_user)
    findings = list(check(options, ManualClock(SystemClock().now() + ahead)))
    (clocks,) = [finding for finding in findings if "clocks" in finding.what]
    assert not clocks.well
    assert "chrony" in clocks.advice
    (clocks,) = [finding for finding in check(options, SystemClock()) if "clocks" in finding.what]
    assert clocks.well


def test_a_service_may_log_in_by_application_credential(
    house: Service, cloud: Cloud, zund: Zund, service_user: Person
) -> None:
    credential = cloud.credential(service_user, "of the service")
    login = {
        "auth_type": "v3applicationcredential",
        "application_credential_id": credential.id,
        "application_credential_secret": credential.secret,
    }
    code, said = zund("check", settings=settings_of(cloud, service_user, **login))
    assert code == 0, said
    assert f"logged in as the application credential {credential.id}" in said


async def test_a_keystone_that_hangs_holds_nobody_for_ever(
    cloud: Cloud, server: KeystoneServer, service_user: Person, ann: Person
) -> None:
    token = cloud.token(ann)
    identity = KeystoneIdentity(
        options_of(cloud, service_user, validation_timeout=0.5, http_connect_timeout=2.0),
        clock=SystemClock(),
        is_admin=lambda roles: False,
    )
    try:
        with server.frozen():
            begun = time.monotonic()
            replies = await asyncio.gather(
                *(identity.authenticate(token, Asked("GET", "/v1/containers")) for _ in range(20)),
                return_exceptions=True,
            )
            assert all(isinstance(reply, Unavailable) for reply in replies), replies
            assert time.monotonic() - begun < 20
    finally:
        await identity.close()


def options_of(cloud: Cloud, user: Person, **more: float) -> KeystoneOptions:
    return KeystoneOptions(
        auth_url=cloud.url,
        www_authenticate_uri=cloud.url,
        username=user.name,
        password=user.password,
        project_name=user.project,
        **more,  # type: ignore[arg-type]
    )
