# SPDX-License-Identifier: Apache-2.0
"""Whose business each URL of the service is, and a request for it that is well formed.

A route that is not here fails a test. To add one: say whose it is (`Whose`), whether a reader may (`reader`; by default readers may GET),
and what query or body makes a request that would do something. If it names a thing of a project in its path, that is all: the tests
then ask for it as a stranger, by name and by uuid, and as a reader.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from types import SimpleNamespace
from typing import Any, cast

from zun.api.routes import Handlers, all_routes
from zun.api.routing import Route
from zun.model.microversions import text


class Whose(Enum):
    """Whose business a URL is."""

    PUBLIC = auto()
    """Everybody's, without a token: shows nothing that belongs to anybody."""

    CLOUD = auto()
    """The administrators' of the cloud."""

    CONTAINER = auto()
    """A container of a project, named in the path."""

    CAPSULE = auto()
    """A capsule of a project, named in the path."""

    REGISTRY = auto()
    """A registry of a project, named in the path."""

    NETWORK = auto()
    """A network that is for one project, named in the path."""

    PROJECT = auto()
    """A project itself, named in the path."""

    OWN = auto()
    """Whoever asks: shows or makes things in the project of the token."""


@dataclass(frozen=True)
class Case:
    """One route. `reader` None: readers may if it is a GET."""

    whose: Whose
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    reader: bool | None = None

    def for_readers(self, route: Route) -> bool:
        """Whether somebody with the role reader alone may."""
        return route.method == "GET" if self.reader is None else self.reader


EXEC_ID = "a" * 64
TEMPLATE: dict[str, Any] = {
    "kind": "capsule",
    "metadata": {},
    "spec": {"containers": [{"image": "busybox", "command": ["sleep", "1000"]}]},
}
TAR = bytes(1024)  # an empty one
_C, _R = Whose.CONTAINER, Whose.REGISTRY
_NODE = {"host": "nowhere", "binary": "zun-compute"}

CASES: dict[str, Case] = {
    "root": Case(Whose.PUBLIC),
    "v1": Case(Whose.PUBLIC),
    "openapi": Case(Whose.PUBLIC),
    "healthcheck": Case(Whose.PUBLIC),
    "metrics": Case(Whose.PUBLIC),
    "container_list": Case(Whose.OWN),
    "container_create": Case(Whose.OWN, body={"image": "busybox"}),
    "container_show": Case(_C),
    "container_update": Case(_C, body={"name": "taken-over"}),
    "container_delete": Case(_C, query={"stop": "true"}),
    "container_start": Case(_C),
    "container_stop": Case(_C, query={"timeout": 1}),
    "container_reboot": Case(_C, query={"timeout": 1}),
    "container_rebuild": Case(_C),
    "container_pause": Case(_C),
    "container_unpause": Case(_C),
    "container_kill": Case(_C),
    "container_commit": Case(_C, query={"repository": "stolen"}),
    "container_add_security_group": Case(_C, query={"name": "open"}),
    "container_remove_security_group": Case(_C, query={"name": "open"}),
    "container_network_attach": Case(_C, query={"network": "bridge"}),
    "container_network_detach": Case(_C, query={"network": "bridge"}),
    "container_network_list": Case(_C),
    "container_rename": Case(_C, query={"name": "taken-over"}),
    "container_resize_container": Case(_C, body={"memory": "64"}),
    "container_logs": Case(_C),
    "container_execute": Case(_C, query={"command": "true"}),
    "container_execute_resize": Case(_C, query={"exec_id": EXEC_ID, "w": 80, "h": 25}),
    "container_attach": Case(_C, reader=False),
    "container_resize": Case(_C, query={"w": 80, "h": 25}),
    "container_top": Case(_C),
    "container_get_archive": Case(_C, query={"path": "/"}),
    "container_put_archive": Case(_C, query={"path": "/"}, body={"data": ""}),
    "container_stats": Case(_C),
    "container_action_list": Case(_C),
    "container_action_show": Case(_C),
    "container_logs_stream": Case(_C),
    "container_archive_get": Case(_C, query={"path": "/"}),
    "container_archive_put": Case(_C, query={"path": "/"}, content=TAR),
    "container_port_forward": Case(_C, query={"port": 80}, reader=False),
    "watch": Case(Whose.OWN),
    "image_list": Case(Whose.CLOUD),
    "image_create": Case(Whose.CLOUD, body={"repo": "busybox", "host": "nowhere"}),
    "image_search": Case(Whose.OWN),
    "image_show": Case(Whose.CLOUD),
    "image_delete": Case(Whose.CLOUD),
    "host_list": Case(Whose.CLOUD),
    "host_show": Case(Whose.CLOUD),
    "node_list": Case(Whose.CLOUD),
    "node_show": Case(Whose.CLOUD),
    "node_drain": Case(Whose.CLOUD),
    "node_undrain": Case(Whose.CLOUD),
    "doctor": Case(Whose.CLOUD),
    "service_list": Case(Whose.CLOUD),
    "service_delete": Case(Whose.CLOUD, query=_NODE),
    "service_enable": Case(Whose.CLOUD, query=_NODE),
    "service_disable": Case(Whose.CLOUD, query=_NODE),
    "service_force_down": Case(Whose.CLOUD, query=_NODE | {"forced_down": "True"}),
    "node_token_create": Case(Whose.CLOUD, body={}),
    "node_token_revoke": Case(Whose.CLOUD),
    "node_join": Case(Whose.PUBLIC, body={"id": "x", "body": "", "mac": ""}),
    "availability_zone_list": Case(Whose.OWN),
    "network_list": Case(Whose.OWN),
    "network_show": Case(Whose.NETWORK),
    "network_create": Case(Whose.CLOUD, body={"name": "taken-over", "subnets": [{"cidr": "10.250.0.0/24"}]}),
    "network_delete": Case(Whose.CLOUD),
    "capsule_list": Case(Whose.OWN),
    "capsule_create": Case(Whose.OWN, body={"template": TEMPLATE}),
    "capsule_show": Case(Whose.CAPSULE),
    "capsule_delete": Case(Whose.CAPSULE),
    "capsule_port_forward": Case(Whose.CAPSULE, query={"port": 80}, reader=False),
    "quota_show": Case(Whose.PROJECT, query={"usages": "True"}),
    "quota_defaults": Case(Whose.PROJECT),
    "quota_update": Case(Whose.CLOUD, body={"containers": -1}),
    "quota_delete": Case(Whose.CLOUD),
    "quota_class_show": Case(Whose.CLOUD),
    "quota_class_update": Case(Whose.CLOUD, body={"containers": -1}),
    "registry_list": Case(Whose.OWN),
    "registry_create": Case(Whose.OWN, body={"registry": {"name": "mine", "domain": "r.example"}}),
    "registry_show": Case(_R),
    "registry_update": Case(_R, body={"registry": {"domain": "evil.example"}}),
    "registry_delete": Case(_R),
}

ENDLESS = frozenset({"watch"})
"""Answers that go on until somebody hangs up."""


def routes() -> list[Route]:
    """Every route of the service."""

    class Anything(SimpleNamespace):
        def __getattr__(self, name: str) -> "Anything":
            return Anything()

    return all_routes(cast(Handlers, Anything()))


def version_for(route: Route) -> str:
    """The newest microversion that has the route."""
    return f"container {text(route.until)}"
