# SPDX-License-Identifier: Apache-2.0
"""Where zunctl looks for the service, in which order, and what it says when there is none."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from zun.cli.access import find_access
from zun.cli.failures import UNREACHABLE, USAGE, Failure
from zun.cli.keystone import Wish, log_in

CLOUDS = """
clouds:
  here: {auth_type: admin_token, auth: {token: cloud-token, endpoint: 'http://cloud:9517/v1', project_id: p9}}
  half: {auth: {username: me}}
"""


def found(environment: dict[str, str], **given: str | None) -> tuple[str, str]:
    asked: dict[str, str | None] = {"url": None, "token": None, "cloud": None}
    access = find_access(**(asked | given), environment=environment)
    return access.url, access.token


@pytest.fixture
def everything(tmp_path: Path) -> dict[str, str]:
    """An environment in which every source says something."""
    (tmp_path / "local.json").write_text(json.dumps({"url": "http://local", "token": "local-token", "project_id": "p"}))
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    return {
        "ZUN_URL": "http://zun", "ZUN_TOKEN": "zun-token",
        "OS_CLOUD": "here", "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml"),
        "OS_TOKEN": "os-token", "OS_ENDPOINT": "http://os/v1",
        "ZUN_STATE_DIR": str(tmp_path),
    }  # fmt: skip


def test_the_first_source_that_says_something_counts(everything: dict[str, str]) -> None:
    assert found(everything, url="http://flag", token="flag-token") == ("http://flag", "flag-token")
    assert found(everything) == ("http://zun", "zun-token")
    del everything["ZUN_URL"], everything["ZUN_TOKEN"]
    assert found(everything) == ("http://cloud:9517", "cloud-token")
    del everything["OS_CLOUD"]
    assert found(everything) == ("http://os", "os-token")
    del everything["OS_TOKEN"]
    assert found(everything) == ("http://local", "local-token")


def test_a_url_alone_is_used_with_the_local_token(everything: dict[str, str]) -> None:
    environment = {"ZUN_STATE_DIR": everything["ZUN_STATE_DIR"]}
    assert found(environment, url="http://127.0.0.1:1/v1/") == ("http://127.0.0.1:1", "local-token")


@pytest.mark.parametrize(
    ("environment", "cloud", "code", "said"),
    [
        ({}, None, UNREACHABLE, "make run"),
        ({"ZUN_URL": "http://x"}, None, UNREACHABLE, "--token"),
        ({}, "nowhere", USAGE, "it has half, here"),
        ({}, "half", USAGE, "auth_url"),
        ({"OS_AUTH_URL": "http://k", "OS_USERNAME": "me"}, None, USAGE, "OS_PASSWORD"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, environment: dict[str, str], cloud: str | None, code: int, said: str
) -> None:
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    places = {"ZUN_STATE_DIR": str(tmp_path / "none"), "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml")}
    with pytest.raises(Failure) as failed:
        found(places | environment, cloud=cloud)
    assert failed.value.exit_code == code
    assert said in failed.value.message


def test_a_damaged_local_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "local.json").write_text("{")
    with pytest.raises(Failure, match=r"local\.json cannot be used"):
        found({"ZUN_STATE_DIR": str(tmp_path)})


def test_a_token_is_never_part_of_what_is_printed_of_an_access(everything: dict[str, str]) -> None:
    access = find_access(url=None, token=None, cloud=None, environment=everything)
    assert "zun-token" not in repr(access)


# Keystone


CATALOG = [
    {"type": "compute", "endpoints": [{"interface": "public", "region": "r1", "url": "http://nova"}]},
    {
        "type": "container",
        "endpoints": [
            {"interface": "internal", "region": "r1", "url": "http://inside"},
            {"interface": "public", "region": "r1", "url": "http://one/v1"},
            {"interface": "public", "region": "r2", "url": "http://two/v1"},
        ],
    },
]


def keystone(status: int = 201, catalog: object = CATALOG) -> tuple[list[dict[str, Any]], httpx.MockTransport]:
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append({"url": str(request.url)} | json.loads(request.content)["auth"])
        token = {"token": {"catalog": catalog, "project": {"id": "p1"}}}
        return httpx.Response(status, json=token, headers={"X-Subject-Token": "given"})

    return asked, httpx.MockTransport(answer)


def test_a_password_gives_a_token_and_the_endpoint_of_the_region() -> None:
    asked, transport = keystone()
    auth = {"auth_url": "http://k:5000/", "username": "me", "password": "pw", "project_name": "mine"}
    session = log_in(auth, Wish(region="r2"), transport=transport)
    assert (session.token, session.endpoint, session.project_id) == ("given", "http://two/v1", "p1")
    assert asked[0]["url"] == "http://k:5000/v3/auth/tokens"
    assert asked[0]["identity"]["password"]["user"] == {"name": "me", "domain": {"name": "Default"}, "password": "pw"}
    assert asked[0]["scope"]["project"]["name"] == "mine"


def test_an_application_credential_needs_neither_user_nor_scope() -> None:
    asked, transport = keystone()
    auth = {"auth_url": "http://k/v3", "application_credential_id": "a", "application_credential_secret": "s"}
    log_in(auth, Wish(interface="publicURL"), transport=transport)
    assert asked[0]["identity"]["application_credential"] == {"id": "a", "secret": "s"}
    assert "scope" not in asked[0]


@pytest.mark.parametrize(
    ("status", "catalog", "said"),
    [(401, CATALOG, "refused the login"), (503, CATALOG, "503"), (201, [], "no container service")],
)
def test_what_keystone_refuses_is_one_sentence(status: int, catalog: object, said: str) -> None:
    _, transport = keystone(status, catalog)
    auth = {"auth_url": "http://k", "user_id": "u", "password": "pw", "project_id": "p"}
    with pytest.raises(Failure, match=said) as failed:
        log_in(auth, Wish(), transport=transport)
    assert failed.value.exit_code == UNREACHABLE
