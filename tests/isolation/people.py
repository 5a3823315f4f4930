# SPDX-License-Identifier: Apache-2.0
"""Two projects and the people in them, who meet one service over HTTP and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from isolation.cases import CASES, ENDLESS, TEMPLATE, version_for
from support.service import eventually
from zun.api.routing import Route

_NUMBERS = count()
NEWEST = "container 1.40"
NO_UUID = "00000000-0000-4000-8000-000000000000"


@dataclass
class Somebody:
    """A person with a token."""

    url: str
    token: str
    project_id: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, headers={"X-Auth-Token": self.token}, timeout=60, verify=False)

    def ask(self, method: str, path: str, version: str = NEWEST, **more: Any) -> httpx.Response:
        """One request, read to its end."""
        headers = {"OpenStack-API-Version": version} | more.pop("headers", {})
        return self.http.request(method, path, headers=headers, **more)

    def get(self, path: str, **query: Any) -> Any:
        """GET that must succeed, decoded."""
        reply = self.ask("GET", path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def makes(self, **members: Any) -> dict[str, Any]:
        """A container that runs, as its owner sees it."""
        name = f"secret-{next(_NUMBERS)}"
        new = {"image": "busybox", "name": name, "command": ["sleep", "1000"], "interactive": True} | members
        reply = self.ask("POST", "/v1/containers", params={"run": "true"}, json=new)
        assert reply.status_code == 202, reply.text
        uuid = reply.json()["uuid"]
        path = f"/v1/containers/{uuid}"
        eventually(lambda: self.get(path)["status"] == "Running", "the container runs")
        return dict(self.get(path))

    def makes_network(self, project_id: str) -> dict[str, Any]:
        """A network for one project, made by an administrator."""
        number = next(_NUMBERS)
        new = {"name": f"secret-{number}", "subnets": [{"cidr": f"10.200.{number}.0/24"}], "project_id": project_id}
        reply = self.ask("POST", "/v1/networks", json=new)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def makes_capsule(self) -> dict[str, Any]:
        """A capsule that runs."""
        template = TEMPLATE | {"metadata": {"name": f"secret-{next(_NUMBERS)}"}}
        template["spec"] = {"containers": [one | {"stdin": True} for one in TEMPLATE["spec"]["containers"]]}
        reply = self.ask("POST", "/v1/capsules", json={"template": template})
        assert reply.status_code == 202, reply.text
        path = f"/v1/capsules/{reply.json()['uuid']}"
        eventually(lambda: self.get(path)["status"] == "Running", "the capsule runs")
        return dict(self.get(path))

    def makes_registry(self) -> dict[str, Any]:
        """A registry with a login."""
        registry = {"name": f"secret-{next(_NUMBERS)}", "domain": "r.example", "username": "u", "password": "hidden"}
        reply = self.ask("POST", "/v1/registries", json={"registry": registry})
        assert reply.status_code == 201, reply.text
        return dict(reply.json()["registry"])


@dataclass(frozen=True)
class People:
    """`owner` and `reader` and `nobody` (no role) are of one project, `stranger` and `looker` (a reader) of another."""

    owner: Somebody
    reader: Somebody
    nobody: Somebody
    stranger: Somebody
    looker: Somebody
    admin: Somebody

    def close(self) -> None:
        """Let go of connections."""
        for person in vars(self).values():
            person.http.close()


class _Values(dict[str, str]):
    """What stands for a path's variables; for one that nobody thought of, any word."""

    def __missing__(self, name: str) -> str:
        return "anything"


def path_of(route: Route, **values: str) -> str:
    """A route's path with values in the place of its variables."""
    return route.path.replace("*}", "}").format_map(_Values(values))


@dataclass(frozen=True)
class Reply:
    """What came of a request."""

    status: int
    text: str


def ask_for(person: Somebody, route: Route, **values: str) -> Reply:
    """Ask for a route with the request of its case."""
    case = CASES[route.name]
    more: dict[str, Any] = {"params": case.query}
    if case.content is not None:
        more["content"] = case.content
    elif case.body is not None:
        more["json"] = case.body
    headers = {"OpenStack-API-Version": version_for(route)}
    known = {"ident": NO_UUID, "uuid": NO_UUID, "name": "busybox", "project": person.project_id, "request_id": "req-x"}
    with person.http.stream(route.method, path_of(route, **known | values), headers=headers, **more) as reply:
        if route.name in ENDLESS and reply.status_code == 200:
            return Reply(200, "")
        return Reply(reply.status_code, reply.read().decode("utf-8", "replace"))


@contextmanager
def watching(person: Somebody, query: dict[str, Any], *, signs: bool = False) -> Iterator[Iterator[dict[str, str]]]:
    """A watch that is open as long as the block runs; its events, and with `signs` its signs of life between them."""
    headers = {"OpenStack-API-Version": NEWEST, "Accept": "text/event-stream"}
    with person.http.stream("GET", "/v1/watch", params=query, headers=headers) as reply:
        assert reply.status_code == 200

        def events() -> Iterator[dict[str, str]]:
            event: dict[str, str] = {}
            for line in reply.iter_lines():
                if not line:
                    if event:
                        yield event
                    event = {}
                elif line.startswith(":"):
                    if signs:
                        yield {"sign of life": line}
                else:
                    key, _, value = line.partition(": ")
                    event[key] = value

        yield events()
