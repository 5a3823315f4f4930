# SPDX-License-Identifier: Apache-2.0
"""A node of which every process can be killed: the service with its agent, what binds its networks, its engine.

It lives in the network namespace of the process that makes it, which is to have one of its own.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import docker_engine
from support.containerd_engine import Containerd, containerd
from support.roles import Role
from support.service import Service, service
from support.store_keys import BELONGS, embedded_keys

ENGINES = ("containerd", "docker")
NETWORKS = ("engine", "cni")
SERVICE_PAUSE, ENGINE_PAUSE = 2.0, 5.0
"""RestartSec of our units, and of Debian's containerd."""

_SETTINGS = """\
[quota]
containers = -1
cpu = -1
memory = -1
"""
_NETWORK, _SUBNET = "pods", "10.70.0.0/22"
_PLACES = ("cri/containers", "cri/logs", "cri/pipes", "cri/mounts", "files", "cni/attachments", "cni/bound")
"""Of the state directory: what is in them is some container's or sandbox's."""


@dataclass(frozen=True)
class Victim:
    """A process that may die: `kill` ends it as a crash does, `come_back` returns when systemd would have it running again."""

    name: str
    kill: Callable[[], None]
    come_back: Callable[[], None]


@dataclass
class Node:
    """One node. Without an engine of its own it has the machine's Docker; without a daemon the engine has the networks."""

    service: Service
    engine: Containerd | None
    daemon: Role | None
    made: dict[str, str] = field(default_factory=dict)
    """What was made in Docker."""

    def victims(self) -> list[Victim]:
        """Who can be killed. The machine's Docker is everybody's, so it lives."""
        found = [Victim("service", self._kill_service, self._service_returns)]
        if self.engine is not None:
            found.append(Victim("containerd", self.engine.kill, self._engine_returns))
        if self.daemon is not None:
            found.append(Victim("cni-daemon", self.daemon.kill, self._daemon_returns))
        return found

    def left(self) -> list[str]:
        """What is left on the node when all capsules are gone."""
        if self.engine is not None:
            self.engine.let_go_of_leases()
            remains = self.engine.leftovers()
        else:
            remains = docker_engine.remains(self.made)
        state = self.service.state_dir
        remains["store"] = [key for key in embedded_keys(state) if not self._belongs(key)]
        remains["links"] = [
            *remains.get("links", ()),
            *(name for name in _links() if name.startswith(("veth", "zunv"))),
        ]
        remains["state directory"] = [str(path) for place in _PLACES for path in (state / place).glob("*")]
        return [f"{what}: {one}" for what, some in remains.items() for one in some]

    def _belongs(self, key: str) -> bool:
        return bool(BELONGS.fullmatch(key)) or (self.daemon is not None and key.startswith("/zun/v/net"))

    def _kill_service(self) -> None:
        assert self.service.runs, f"zund ended by itself:\n{self.service.said()}"
        self.service.kill()

    def _service_returns(self) -> None:
        self.service.come_back(SERVICE_PAUSE)  # as long as its engine is away it ends, and is started again

    def _engine_returns(self) -> None:
        assert self.engine is not None
        time.sleep(ENGINE_PAUSE)
        self.engine.start()

    def _daemon_returns(self) -> None:
        assert self.daemon is not None
        time.sleep(SERVICE_PAUSE)
        self.daemon.start()


@contextmanager
def node(directory: Path, engine: str, network: str) -> Iterator[Node]:
    """One that runs while the block does. `engine` is one of ENGINES, `network` of NETWORKS."""
    state, settings = directory / "state", _SETTINGS
    os.environ["ZUN_CONTAINERD_NETWORK"] = {"cni": "zun-cni", "engine": "bridge"}[network]
    with ExitStack() as stack:
        own = stack.enter_context(containerd()) if engine == "containerd" else None
        if own is not None:
            settings += f"[cri]\nendpoint = {own.endpoint}\ncgroup_parent = {own.group}\nupkeep_seconds = 1\ncall_seconds = 20\n"
        daemon = None
        if network == "cni":
            settings += "[network]\ndriver = cni\n[cni]\nseparate = true\nsync_seconds = 5\n"
            if own is not None:
                plugins = own.directory / "root" / "cni"
                settings += f"bin_dir = {plugins / 'bin'}\nconf_dir = {plugins / 'net.d'}\n"
                stack.callback(_answer_for_the_daemon, plugins / "bin" / "zun-cni")
            daemon = Role("cni-daemon", "networks", state, settings)
            stack.callback(daemon.close)
            daemon.start()
        house = stack.enter_context(service(state, runtime="cri" if own is not None else "docker", settings=settings))
        found = Node(house, own, daemon)
        if own is None:
            found.made = stack.enter_context(docker_engine.seen_made(house.owner))
        if daemon is not None:
            stack.enter_context(_network(house))
        yield found


def _answer_for_the_daemon(plugin: Path) -> None:
    """What a storm left in the engine after a fault is removed when nobody is there any more to unplug it."""
    plugin.unlink(missing_ok=True)
    plugin.write_text("#!/bin/sh\n")
    plugin.chmod(0o755)


@contextmanager
def _network(house: Service) -> Iterator[None]:
    """A network of the service, which takes itself away again only when nothing is on it."""
    with house.client() as http:
        body = {"name": _NETWORK, "subnets": [{"cidr": _SUBNET}]}
        answer = http.post("/v1/networks", json=body)
        assert answer.is_success, answer.text
        yield
        answer = http.delete(f"/v1/networks/{_NETWORK}")
        assert answer.is_success, answer.text


def _links() -> list[str]:
    """All of this network namespace."""
    told = subprocess.run(["ip", "-json", "link"], check=True, capture_output=True, timeout=30).stdout
    return [link["ifname"] for link in json.loads(told)]
