# SPDX-License-Identifier: Apache-2.0
"""A simulated node: the agent as it is, on an engine that runs nothing, with a disk in memory.

What is left out of a real node's work: the engine, the connection and certificate of its own (nodes of one process share a
connection), the journal's wait for the disk (it is written, but to a file system in memory, without a thread), the stream server,
and the watchdog. Everything else is the product's own code with its default options, however many nodes share a process.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nacl.public

from zun.agent.agent import Agent
from zun.agent.identity import NodeIdentity
from zun.agent.options import AgentOptions
from zun.base.clock import Clock
from zun.base.ids import new_uuid
from zun.base.sealing import NodeKey
from zun.drivers.runtime.fake.engine import FakeEngine
from zun.drivers.runtime.fake.runtime import FakeRuntime
from zun.model.records import NameClaim, NodeRecord, Observation, SeenState
from zun.store import codec, keys
from zun.store.interface import Op, Put, Store
from zun.store.nodelink import Report
from zun.store.nodelink_store import StoreNodeLink

CPUS, MEMORY_MIB, DISK_GIB = 64, 256 * 1024, 4000
"""What each made-up machine has."""

_REGISTERED_AT_ONCE = 60
_BOOT = "simulated"


def node_name(number: int) -> str:
    """What the node of that number is called."""
    return f"node-{number:05}"


class CountingLink(StoreNodeLink):
    """A link that remembers when the control plane had taken each "it runs" and each "it is gone"."""

    def __init__(self, store: Store, node: str, clock: Clock, told: "Told") -> None:
        super().__init__(store, node, clock, boot_id=_BOOT)
        self._told = told

    async def report(self, reports: Sequence[Report]) -> None:
        """Pass them on, and note what arrived."""
        await super().report(reports)
        self._told.note(reports)


class Told:
    """When containers were reported as running, and how many as gone."""

    def __init__(self) -> None:
        self.running: dict[str, float] = {}
        self.gone = 0

    def note(self, reports: Sequence[Report]) -> None:
        """Take in what the store has accepted just now."""
        now = time.monotonic()
        for report in reports:
            if isinstance(report, Observation):
                if report.state is SeenState.RUNNING:
                    self.running.setdefault(report.uuid, now)
                elif report.state is SeenState.GONE:
                    self.gone += 1


@dataclass(frozen=True)
class SimulatedNode:
    """A node that can be run: `agent.run()`."""

    number: int
    name: str
    public_key: str
    agent: Agent


def make_node(
    number: int, *, store: Store, clock: Clock, options: AgentOptions, directory: Path, told: Told
) -> SimulatedNode:
    """A node that nobody knows yet. `directory` should lie in memory: thousands of journals are written below it."""
    name = node_name(number)
    key = NodeKey(bytes(nacl.public.PrivateKey.generate()))
    identity = NodeIdentity(new_uuid(), name)
    engine = FakeEngine(clock, seed=number, cpus=CPUS, memory_total_mib=MEMORY_MIB, disk_total_gib=DISK_GIB)
    agent = Agent(
        runtime=FakeRuntime(clock, owner=identity.owner, engine=engine),
        link=CountingLink(store, name, clock, told),
        key=key,
        identity=identity,
        boot_id=_BOOT,
        clock=clock,
        options=options,
        state_dir=directory / name,
        run_blocking=_here,
    )
    return SimulatedNode(number, name, key.public, agent)


async def register(store: Store, nodes: Sequence[SimulatedNode], clock: Clock) -> None:
    """Make them known, many in a transaction: letting nodes in one by one is not what a fleet is measured for."""
    for start in range(0, len(nodes), _REGISTERED_AT_ONCE):
        ops: list[Op] = []
        for node in nodes[start : start + _REGISTERED_AT_ONCE]:
            integer = node.number + 1
            record = NodeRecord(node=node.name, number=integer, created_at=clock.now(), public_key=node.public_key)
            ops.append(Put(keys.node(node.name), codec.encode(record)))
            ops.append(Put(keys.unique_name("node-number", f"{integer:09}"), codec.encode(NameClaim(node.name))))
        await store.transact([], ops)


async def _here(work: Callable[[], None]) -> None:
    """Disk work without a thread."""
    work()
