# SPDX-License-Identifier: Apache-2.0
"""Log in at Keystone (Identity API v3, `POST /v3/auth/tokens`) and find the container service in the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from zun.cli.failures import UNREACHABLE, USAGE, Failure

SERVICE_TYPES = ("container", "application-container")
INTERFACES = ("public", "internal", "admin")
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Session:
    """What Keystone gave."""

    token: str = field(repr=False)
    endpoint: str
    project_id: str


@dataclass(frozen=True)
class Wish:
    """Which of the service's endpoints is meant, and how Keystone's certificate is checked. `override` is one that is known."""

    verify: bool | str = True
    region: str | None = None
    interface: str = "public"
    override: str | None = None


def log_in(auth: Mapping[str, Any], wish: Wish, *, transport: httpx.BaseTransport | None = None) -> Session:
    """A token by password, application credential or another token. Raises `Failure`. `transport` is for tests."""
    base = str(auth["auth_url"]).rstrip("/")
    url = (base if base.endswith("/v3") else base + "/v3") + "/auth/tokens"
    asked = {"auth": _request(auth)}
    try:
        with httpx.Client(verify=wish.verify, timeout=TIMEOUT_SECONDS, transport=transport) as http:
            reply = http.post(url, json=asked)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Failure(f"Keystone at {base} cannot be reached: {error}", UNREACHABLE) from error
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        raise Failure(f"Keystone at {base} refused the login; {_what_to_check(auth)}.", UNREACHABLE)
    if reply.is_error:
        raise Failure(f"Keystone at {base} answered {reply.status_code}; try again, or ask your operator.", UNREACHABLE)
    try:
        token = reply.json()["token"]
        secret = reply.headers["X-Subject-Token"]
        project_id = (token.get("project") or {}).get("id", "")
        catalog = list(token.get("catalog") or [])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failure(f"What answers at {base} is no Keystone; check the auth URL.", UNREACHABLE) from error
    return Session(secret, wish.override or _endpoint(catalog, wish), project_id)


def _request(auth: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a login. An application credential brings its project with it."""
    if auth.get("application_credential_secret"):
        return {"identity": _by_credential(auth)}
    if auth.get("password") is not None:
        user = _named(auth, "user", "username")
        identity = {"methods": ["password"], "password": {"user": user | {"password": auth["password"]}}}
    elif auth.get("token"):
        identity = {"methods": ["token"], "token": {"id": auth["token"]}}
    else:
        raise Failure(
            "Keystone needs a password or an application credential"
            " (OS_PASSWORD, or OS_APPLICATION_CREDENTIAL_ID and _SECRET, or `auth` in clouds.yaml).",
            USAGE,
        )
    return {"identity": identity, "scope": {"project": _named(auth, "project", "project_name")}}


def _by_credential(auth: Mapping[str, Any]) -> dict[str, Any]:
    credential: dict[str, Any] = {"secret": auth["application_credential_secret"]}
    if auth.get("application_credential_id"):
        credential["id"] = auth["application_credential_id"]
    elif auth.get("application_credential_name"):
        credential |= {"name": auth["application_credential_name"], "user": _named(auth, "user", "username")}
    else:
        raise Failure(f"Keystone needs {_spelled('application_credential_id')}.", USAGE)
    return {"methods": ["application_credential"], "application_credential": credential}


def _named(auth: Mapping[str, Any], kind: str, name_key: str) -> dict[str, Any]:
    if auth.get(f"{kind}_id"):
        return {"id": auth[f"{kind}_id"]}
    if not auth.get(name_key):
        raise Failure(f"Keystone needs {_spelled(name_key)} (or {_spelled(f'{kind}_id')}).", USAGE)
    domain_id = auth.get(f"{kind}_domain_id") or auth.get("domain_id")
    if domain_id:
        return {"name": auth[name_key], "domain": {"id": domain_id}}
    return {"name": auth[name_key], "domain": {"name": auth.get(f"{kind}_domain_name") or "Default"}}


def _spelled(key: str) -> str:
    """A setting as the environment and clouds.yaml spell it."""
    return f"OS_{key.upper()}, `{key}` in clouds.yaml"


def _what_to_check(auth: Mapping[str, Any]) -> str:
    if auth.get("application_credential_secret"):
        return "check the application credential: it may have expired, or been deleted"
    if auth.get("password") is not None:
        return "check user, password, project and their domains"
    return "the token may have expired; check it and the project"


def _endpoint(catalog: list[dict[str, Any]], wish: Wish) -> str:
    """The service's URL. Raises `Failure` that says what there is in its place."""
    interface = wish.interface.removesuffix("URL")
    if interface not in INTERFACES:
        raise Failure(f"There is no interface `{wish.interface}`; it is one of {', '.join(INTERFACES)}.", USAGE)
    seen = []
    for wanted in SERVICE_TYPES:
        for service in catalog:
            if service.get("type") != wanted:
                continue
            for endpoint in service.get("endpoints") or []:
                regions = (endpoint.get("region_id"), endpoint.get("region"))
                if endpoint.get("interface") == interface and wish.region in (None, "", *regions):
                    return str(endpoint["url"])
                seen.append(f"{endpoint.get('interface')} in {endpoint.get('region_id') or endpoint.get('region')}")
    if seen:
        where = f" in region {wish.region}" if wish.region else ""
        raise Failure(
            f"The container service has no {interface} endpoint{where}; it has {', '.join(sorted(seen))}"
            " (OS_REGION_NAME, OS_INTERFACE).",
            UNREACHABLE,
        )
    raise Failure("The cloud's catalogue has no container service for you; ask your operator.", UNREACHABLE)
