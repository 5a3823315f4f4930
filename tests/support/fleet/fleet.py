# SPDX-License-Identifier: Apache-2.0
"""The whole: who runs, what they cost, and what may be asked of them."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from support.fleet.costs import Roles
from support.fleet.load import Done, Load
from support.fleet.orders import Child
from support.roles import Api, Role, cluster
from zun.drivers.identity.static import tokens

BODY = {
    "image": "busybox",
    "command": ["sleep", "1000000"],
    "memory": 64,
    "environment": {"MODE": "fleet"},
    "labels": {"tier": "fleet"},
}
_READY_SECONDS = 600.0
_POLL_SECONDS = 0.1
_MEMORY_DISK = Path("/dev/shm")
_ETCD = {"ETCD_MAX_WALS": "0", "ETCD_QUOTA_BACKEND_BYTES": str(8 << 30)}
"""Its whole log is kept, so that it can be read what was asked of it; and room for what a hundred thousand containers write."""


class Fleet:
    """One API server, one controller, `nodes` nodes in some processes, a load client; users of several projects."""

    def __init__(self, directory: Path, stack: ExitStack, *, shares: Sequence[int], projects: int) -> None:
        """`shares`: so many nodes in each process. Made by `fleet`."""
        self.shares = shares
        self.projects = [f"project-{number:02}" for number in range(projects)]
        self._stack = stack
        self._directory = directory
        os.environ.update(_ETCD)
        self.cluster = stack.enter_context(cluster(directory))
        self.api = self.cluster.api("api")
        self.controller = self.cluster.controller("controller")
        self.agents: list[Child] = []
        self.tokens: list[str] = []
        self._client = self.child("load")

    @property
    def nodes(self) -> int:
        """How many there are."""
        return sum(self.shares)

    @property
    def roles(self) -> Roles:
        """The processes of everybody."""
        return {
            "API": [self.api.pid],
            "controller": [self.controller.pid],
            "nodes": [agents.pid for agents in self.agents],
            "etcd": [self.cluster.etcd.pid],
            "client": [self._client.pid],
        }

    def child(self, module: str, *arguments: str) -> Child:
        """One more process of this package."""
        child = Child(module, *arguments)
        self._stack.callback(child.kill)
        return child

    def start(self) -> float:
        """Start all; returns how long the nodes took."""
        self.api.start()
        self.controller.start()
        path = self.api.state_dir / "tokens.json"
        self.tokens = [tokens.add_user(path, f"user-{name}", project=name) for name in self.projects]
        memory = Path(tempfile.mkdtemp(prefix="zun-fleet-", dir=_MEMORY_DISK if _MEMORY_DISK.is_dir() else None))
        self._stack.callback(shutil.rmtree, memory, ignore_errors=True)
        begin = time.monotonic()
        first = 0
        for share in self.shares:
            where = ["--endpoint", self.cluster.endpoint, "--directory", str(memory)]
            self.agents.append(self.child("agents", *where, "--first", str(first), "--nodes", str(share)))
            first += share
        for agents in self.agents:
            agents.hear()
        return time.monotonic() - begin

    def load(self, **load: Any) -> Done:
        """Create or delete (see `Load`); returns when all is answered. Nothing may be refused."""
        order = Load(url=self.api.url, tokens=self.tokens, body=BODY, **load)
        done = msgspec.convert(self._client.ask("load", load=msgspec.to_builtins(order)), Done)
        assert not done.refused, done.refused
        return done

    def until(self, what: str, count: int) -> float:
        """Wait until the nodes have told of so many running (or gone) containers since `forget`; returns the moment."""
        deadline = time.monotonic() + _READY_SECONDS
        while (found := sum(self._counts(what))) < count:
            assert time.monotonic() < deadline, f"{found} of {count} {what} after {_READY_SECONDS:.0f} s"
            time.sleep(_POLL_SECONDS)
        return time.monotonic()

    def running(self) -> dict[str, float]:
        """When each container was known to run, since `forget`."""
        for agents in self.agents:
            agents.tell("running")
        return {uuid: at for agents in self.agents for uuid, at in agents.hear().items()}

    def forget(self) -> None:
        """Count anew."""
        for agents in self.agents:
            agents.ask("forget")

    def lose(self, number: int) -> None:
        """The nodes of a process lose their power."""
        self.agents.pop(number).kill()

    def end(self) -> None:
        """Nobody is left but etcd."""
        for agents in self.agents:
            agents.kill()
        self.agents.clear()
        self.controller.close()
        self.api.close()
        self._client.kill()

    def _counts(self, what: str) -> list[int]:
        for agents in self.agents:
            agents.tell("count")
        return [agents.hear()[what] for agents in self.agents]


@contextmanager
def fleet(directory: Path, *, shares: Sequence[int], projects: int = 8) -> Iterator[Fleet]:
    """A fleet that is not started yet; all of it is ended when the block is left."""
    with ExitStack() as stack:
        yield Fleet(directory, stack, shares=shares, projects=projects)


__all__ = ["BODY", "Api", "Fleet", "Role", "fleet"]
