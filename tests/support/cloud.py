# SPDX-License-Identifier: Apache-2.0
"""A cloud's administrator, for tests: people, projects, roles and credentials in a real Keystone."""

from dataclasses import dataclass
from typing import Any

import httpx

from support.keystone_server import ADMIN_PASSWORD, KeystoneServer
from zun.base.ids import new_token

REGION = "RegionOne"
_DOMAIN = {"id": "default"}


@dataclass(frozen=True)
class Person:
    """Somebody with a password, in a project."""

    user_id: str
    name: str
    password: str
    project_id: str
    project: str


@dataclass(frozen=True)
class Credential:
    """An application credential."""

    id: str
    secret: str


class Cloud:
    """What the first administrator does. Raises `httpx.HTTPStatusError` when Keystone does not want it."""

    def __init__(self, server: KeystoneServer) -> None:
        self.server = server
        self.url = server.url
        self.admin = Person("", "admin", ADMIN_PASSWORD, "", "admin")
        self._http = httpx.Client(base_url=f"{server.url}/v3", timeout=30)
        self._http.headers["X-Auth-Token"] = self.token(self.admin)
        self._roles = {role["name"]: role["id"] for role in self.get("/roles")["roles"]}
        identity = self._make("service", {"type": "identity", "name": "keystone"})
        for interface in ("public", "internal", "admin"):
            self.endpoint(identity, interface, f"{server.url}/v3")

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def get(self, path: str, **query: str) -> Any:
        """GET, decoded."""
        return self._http.get(path, params=query).raise_for_status().json()

    def endpoint(self, service_id: str, interface: str, url: str) -> str:
        """Make an endpoint; its id."""
        made = {"service_id": service_id, "interface": interface, "url": url, "region_id": REGION}
        return self._make("endpoint", made)

    def service(self, kind: str, name: str, url: str) -> str:
        """A service with a public endpoint; its id."""
        service = self._make("service", {"type": kind, "name": name})
        self.endpoint(service, "public", url)
        return service

    def remove_service(self, service_id: str) -> None:
        """Take it out of the catalogue, with its endpoints."""
        self._http.delete(f"/services/{service_id}").raise_for_status()

    def project(self, name: str) -> str:
        """A project of that name; its id."""
        known = self.get("/projects", name=name)["projects"]
        return str(known[0]["id"]) if known else self._make("project", {"name": name, "domain_id": "default"})

    def person(self, name: str, project: str, *roles: str) -> Person:
        """A new user with roles in a project, which is made if need be."""
        password, project_id = new_token(), self.project(project)
        user_id = self._make(
            "user", {"name": name, "password": password, "domain_id": "default", "default_project_id": project_id}
        )
        person = Person(user_id, name, password, project_id, project)
        for role in roles:
            self.grant(person, role)
        return person

    def grant(self, person: Person, role: str) -> None:
        """Give a role."""
        path = f"/projects/{person.project_id}/users/{person.user_id}/roles/{self._roles[role]}"
        self._http.put(path).raise_for_status()

    def take(self, person: Person, role: str) -> None:
        """Take a role away."""
        path = f"/projects/{person.project_id}/users/{person.user_id}/roles/{self._roles[role]}"
        self._http.delete(path).raise_for_status()

    def grant_on_domain(self, person: Person, role: str) -> None:
        """Give a role on the domain."""
        self._http.put(f"/domains/default/users/{person.user_id}/roles/{self._roles[role]}").raise_for_status()

    def grant_on_system(self, person: Person, role: str) -> None:
        """Give a role on the system."""
        self._http.put(f"/system/users/{person.user_id}/roles/{self._roles[role]}").raise_for_status()

    def enable_user(self, person: Person, *, enabled: bool) -> None:
        """Let a user in, or not."""
        self._http.patch(f"/users/{person.user_id}", json={"user": {"enabled": enabled}}).raise_for_status()

    def enable_project(self, project_id: str, *, enabled: bool) -> None:
        """Open a project, or close it."""
        self._http.patch(f"/projects/{project_id}", json={"project": {"enabled": enabled}}).raise_for_status()

    def revoke(self, token: str) -> None:
        """Take a token away."""
        self._http.delete("/auth/tokens", headers={"X-Subject-Token": token}).raise_for_status()

    def token(self, person: Person, scope: Any = "project") -> str:
        """A token by password. `scope`: "project", or what goes below `scope` ("unscoped": nothing)."""
        user = {"name": person.name, "domain": _DOMAIN, "password": person.password}
        identity = {"methods": ["password"], "password": {"user": user}}
        if scope == "project":
            scope = {"project": {"name": person.project, "domain": _DOMAIN}}
        return self._log_in({"identity": identity, "scope": scope})

    def token_of(self, credential: Credential) -> str:
        """A token by application credential."""
        given = {"id": credential.id, "secret": credential.secret}
        identity = {"methods": ["application_credential"], "application_credential": given}
        return self._log_in({"identity": identity})

    def credential(
        self, person: Person, name: str, rules: list[dict[str, str]] | None = None, **members: Any
    ) -> Credential:
        """A new application credential of a person."""
        wanted = {"name": name} | members | ({} if rules is None else {"access_rules": rules})
        reply = self._http.post(
            f"/users/{person.user_id}/application_credentials",
            json={"application_credential": wanted},
            headers={"X-Auth-Token": self.token(person)},
        )
        made = reply.raise_for_status().json()["application_credential"]
        return Credential(made["id"], made["secret"])

    def _log_in(self, auth: dict[str, Any]) -> str:
        return self._http.post("/auth/tokens", json={"auth": auth}).raise_for_status().headers["X-Subject-Token"]

    def _make(self, kind: str, members: dict[str, Any]) -> str:
        reply = self._http.post(f"/{kind}s", json={kind: members})
        return str(reply.raise_for_status().json()[kind]["id"])
