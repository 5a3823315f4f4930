# SPDX-License-Identifier: Apache-2.0
"""The clients people have, logging in at a real Keystone and finding the service in its catalogue."""

import json
import os
from pathlib import Path

import pytest
import yaml

from compat.clients import BIN, Host, Said, Shell
from support.cloud import Cloud, Person
from support.service import Service
from support.zunctl import Service as Zunctl

IMAGE = "busybox"
BASIC = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/nonexistent", "TERM": "xterm", "COLUMNS": "400"}


def by_password(cloud: Cloud, person: Person) -> dict[str, str]:
    """What a person's openrc file sets."""
    return {
        "OS_AUTH_URL": f"{cloud.url}/v3",
        "OS_USERNAME": person.name,
        "OS_PASSWORD": person.password,
        "OS_PROJECT_NAME": person.project,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": "RegionOne",
        "OS_INTERFACE": "public",
    }


def by_credential(cloud: Cloud, person: Person, name: str) -> dict[str, str]:
    """What the file that Horizon gives for an application credential sets."""
    credential = cloud.credential(person, name)
    return {
        "OS_AUTH_TYPE": "v3applicationcredential",
        "OS_AUTH_URL": f"{cloud.url}/v3",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": "RegionOne",
        "OS_INTERFACE": "public",
        "OS_APPLICATION_CREDENTIAL_ID": credential.id,
        "OS_APPLICATION_CREDENTIAL_SECRET": credential.secret,
    }


LOGINS = [("zun", "password"), ("openstack", "password"), ("openstack", "credential")]


@pytest.fixture(params=LOGINS, ids=["-by-".join(login) for login in LOGINS])
def shell(request: pytest.FixtureRequest, house: Service, cloud: Cloud, ann: Person, host: Host) -> Shell:
    tmp_path = request.getfixturevalue("tmp_path")
    name, how = request.param
    login = by_password(cloud, ann) if how == "password" else by_credential(cloud, ann, request.node.name)
    return Shell(name, host, BASIC | login, tmp_path)


def test_a_container_lives_and_ends_from_either_shell(shell: Shell, house: Service, bob: Person, cloud: Cloud) -> None:
    name = f"web-{abs(hash(shell.environment.get('OS_APPLICATION_CREDENTIAL_ID', shell.name)))}"
    assert name in shell.good("create", "--name", name, IMAGE, "sleep", "1000")
    assert name in shell.good("list")
    assert IMAGE in shell.good("show", name)
    shell.good("start", name)
    shell.good("action list", name)
    others = Shell(shell.name, shell.host, BASIC | by_password(cloud, bob), shell.directory)
    assert name not in others.good("list")
    refused = others("show", name)
    assert refused.code != 0
    assert "could not be found" in refused.text
    shell.good("set", name, "--name", f"{name}-2")
    shell.good("delete", "--stop", f"{name}-2")


def test_a_wrong_password_ends_at_keystone(
    house: Service, cloud: Cloud, ann: Person, host: Host, tmp_path: Path
) -> None:
    for name in ("zun", "openstack"):
        said = Shell(name, host, BASIC | by_password(cloud, ann) | {"OS_PASSWORD": "wrong"}, tmp_path)("list")
        assert said.code != 0
        assert "401" in said.text or "Not authorized" in said.text


def test_what_only_administrators_may_is_refused_to_others(
    house: Service, cloud: Cloud, ann: Person, host: Host, tmp_path: Path
) -> None:
    for name in ("zun", "openstack"):
        said = Shell(name, host, BASIC | by_password(cloud, ann), tmp_path)("service list")
        assert said.code != 0
        assert "admin" in said.text
        assert "compute" in Shell(name, host, BASIC | by_password(cloud, cloud.admin), tmp_path).good("service list")


def test_the_library_logs_in_with_a_session(house: Service, cloud: Cloud, ann: Person, host: Host) -> None:
    login = {
        "auth_url": f"{cloud.url}/v3",
        "username": ann.name,
        "password": ann.password,
        "project_name": ann.project,
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }

    def call(method: str, **options: object) -> dict[str, object]:
        manager, _, name = method.partition(".")
        job = {"kind": "library", "version": "1", "login": login, "manager": manager, "method": name}
        return host.ask(job | {"arguments": [], "options": options})

    made = call("containers.create", image=IMAGE, name="by-library")
    assert "error" not in made, made
    assert "by-library" in json.dumps(call("containers.list"))
    assert call("containers.get", id="by-library")["result"]["project_id"] == ann.project_id  # type: ignore[index]
    assert call("containers.get", id="nothing")["error"] == "NotFound"


# zunctl


def zunctl(tmp_path: Path, environment: dict[str, str], *words: str) -> Said:
    done = Zunctl(tmp_path, IMAGE, environment | {"HOME": str(tmp_path)}).run(*words)
    return Said(done.code, done.out, done.err)


@pytest.mark.parametrize("how", ["password", "credential"])
def test_zunctl_logs_in_with_the_variables_of_an_openrc(
    house: Service, cloud: Cloud, ann: Person, tmp_path: Path, how: str
) -> None:
    login = by_password(cloud, ann) if how == "password" else by_credential(cloud, ann, "for zunctl")
    made = zunctl(tmp_path, login, "create", "--name", f"ctl-{how}", IMAGE)
    assert made.code == 0, made
    assert f"ctl-{how}" in zunctl(tmp_path, login, "ps", "-a").out
    assert zunctl(tmp_path, login, "rm", f"ctl-{how}").code == 0


def test_zunctl_reads_clouds_yaml(house: Service, cloud: Cloud, ann: Person, tmp_path: Path) -> None:
    credential = cloud.credential(ann, "in a file")
    clouds = {
        "people": {
            "auth": {
                "auth_url": cloud.url,
                "username": ann.name,
                "project_name": ann.project,
                "user_domain_name": "Default",
                "project_domain_id": "default",
            },
            "region_name": "RegionOne",
        },
        "robots": {
            "auth_type": "v3applicationcredential",
            "auth": {
                "auth_url": f"{cloud.url}/v3",
                "application_credential_id": credential.id,
                "application_credential_secret": credential.secret,
            },
        },
    }
    place = tmp_path / ".config/openstack"
    place.mkdir(parents=True)
    (place / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    (place / "secure.yaml").write_text(yaml.safe_dump({"clouds": {"people": {"auth": {"password": ann.password}}}}))
    for name in clouds:
        said = zunctl(tmp_path, {"OS_CLOUD": name}, "ps")
        assert said.code == 0, said
    said = zunctl(tmp_path, {"OS_CLOUD": "people", "OS_REGION_NAME": "Mars"}, "ps")
    assert said.code == 0, "the file says the region"


def test_zunctl_uses_a_token_that_is_there(house: Service, cloud: Cloud, ann: Person, tmp_path: Path) -> None:
    token = {"OS_AUTH_TYPE": "v3token", "OS_AUTH_URL": cloud.url, "OS_TOKEN": cloud.token(ann, "unscoped")}
    scoped = token | {"OS_PROJECT_NAME": ann.project, "OS_PROJECT_DOMAIN_NAME": "Default"}
    said = zunctl(tmp_path, scoped, "ps")
    assert said.code == 0, said


@pytest.mark.parametrize(
    "wrong",
    [
        ({"OS_PASSWORD": "wrong"}, "refused the login"),
        ({"OS_PROJECT_NAME": "nowhere"}, "refused the login"),
        ({"OS_REGION_NAME": "Mars"}, "RegionOne"),
        ({"OS_INTERFACE": "nonsense"}, "public"),
        ({"OS_AUTH_URL": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"OS_PROJECT_NAME": ""}, "OS_PROJECT_NAME"),
    ],
)
def test_zunctl_says_what_is_wrong_with_a_login(
    house: Service, cloud: Cloud, ann: Person, tmp_path: Path, wrong: tuple[dict[str, str], str]
) -> None:
    changed, said = wrong
    failed = zunctl(tmp_path, by_password(cloud, ann) | changed, "ps")
    assert failed.code in (2, 3)
    assert said in failed.err
    assert len(failed.err.splitlines()) == 1
    assert ann.password not in failed.text


def test_zunctl_without_a_login_is_told_where_tokens_come_from(house: Service, cloud: Cloud, tmp_path: Path) -> None:
    failed = zunctl(tmp_path, {"ZUN_URL": house.url, "ZUN_TOKEN": "invented"}, "ps")
    assert failed.code == 3
    assert f"{cloud.url}/v3" in failed.err
    assert "--os-cloud" in failed.err
