# SPDX-License-Identifier: Apache-2.0
"""Log in at Keystone (Identity API v3, `POST /v3/auth/tokens`) and find the container service in the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from zun.cli.failures import UNREACHABLE, USAGE, Failure

SERVICE_TYPES = ("container", "application-container")
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Session:
    """What Keystone gave."""

    token: str = field(repr=False)
    endpoint: str
    project_id: str


def log_in(
    auth: Mapping[str, Any],
    *,
    verify: bool | str,
    region: str | None,
    interface: str,
    transport: httpx.BaseTransport | None = None,
) -> Session:
    """A token by password or application credential. Raises `Failure`. `transport` is for tests."""
    base = str(auth["auth_url"]).rstrip("/")
    url = (base if base.endswith("/v3") else base + "/v3") + "/auth/tokens"
    try:
        with httpx.Client(verify=verify, timeout=TIMEOUT_SECONDS, transport=transport) as http:
            reply = http.post(url, json={"auth": _request(auth)})
    except httpx.HTTPError as error:
        raise Failure(f"Keystone at {base} cannot be reached: {error}", UNREACHABLE) from error
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        raise Failure(f"Keystone at {base} refused the login; check user, password and project.", UNREACHABLE)
    if reply.is_error:
        raise Failure(f"Keystone at {base} answered {reply.status_code}; try again, or ask your operator.", UNREACHABLE)
    try:
        token = reply.json()["token"]
        secret = reply.headers["X-Subject-Token"]
    except (ValueError, LookupError, TypeError) as error:
        raise Failure(f"What answers at {base} is no Keystone; check auth_url.", UNREACHABLE) from error
    endpoint = _endpoint(token.get("catalog") or [], region, interface.removesuffix("URL"))
    return Session(secret, endpoint, (token.get("project") or {}).get("id", ""))


def _request(auth: Mapping[str, Any]) -> dict[str, Any]:
    user = _named(auth, "user", "username")
    if auth.get("application_credential_secret"):
        credential: dict[str, Any] = {"secret": auth["application_credential_secret"]}
        if auth.get("application_credential_id"):
            credential["id"] = auth["application_credential_id"]
        else:
            credential |= {"name": auth.get("application_credential_name"), "user": user}
        return {"identity": {"methods": ["application_credential"], "application_credential": credential}}
    if auth.get("password") is None:
        raise Failure(
            "Keystone needs a password or an application credential (OS_PASSWORD, or `auth` in clouds.yaml).", USAGE
        )
    identity = {"methods": ["password"], "password": {"user": user | {"password": auth["password"]}}}
    return {"identity": identity, "scope": {"project": _named(auth, "project", "project_name")}}


def _named(auth: Mapping[str, Any], kind: str, name_key: str) -> dict[str, Any]:
    if auth.get(f"{kind}_id"):
        return {"id": auth[f"{kind}_id"]}
    if not auth.get(name_key):
        raise Failure(f"Keystone needs {name_key} or {kind}_id.", USAGE)
    if auth.get(f"{kind}_domain_id"):
        return {"name": auth[name_key], "domain": {"id": auth[f"{kind}_domain_id"]}}
    return {"name": auth[name_key], "domain": {"name": auth.get(f"{kind}_domain_name") or "Default"}}


def _endpoint(catalog: list[dict[str, Any]], region: str | None, interface: str) -> str:
    for wanted in SERVICE_TYPES:
        for service in catalog:
            if service.get("type") != wanted:
                continue
            for endpoint in service.get("endpoints") or []:
                if endpoint.get("interface") == interface and region in (
                    None,
                    endpoint.get("region"),
                    endpoint.get("region_id"),
                ):
                    return str(endpoint["url"])
    raise Failure("The cloud's catalogue has no container service for you; ask your operator.", UNREACHABLE)
