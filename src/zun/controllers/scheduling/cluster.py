# SPDX-License-Identifier: Apache-2.0
"""The planner's snapshot: what nodes are and what is taken of them. Plain memory, kept up to date claim by claim."""

import random

import msgspec

from zun.controllers.scheduling.pools import Pools
from zun.controllers.scheduling.tenants import Tenant, Tenants
from zun.model.networks import CNI, NetworkRecord
from zun.model.records import Claim, NetworkInfo


class NodeFacts(msgspec.Struct, frozen=True):
    """What a node is, as far as placing cares. `up`: it reports, though its agent may be `restarting`; `cpus`: the cores of the machine, more than which no
    container can have however much is promised (0: not known); `publish_address`: where it publishes ports, `own_ports`: those it needs itself, by protocol;
    `record_revision`: that of what operators say of it."""

    name: str
    up: bool = True
    enabled: bool = True
    forced_down: bool = False
    draining: bool = False
    restarting: bool = False
    zone: str = ""
    cpus: int = 0
    millicpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    disk_quota: bool = False
    dedicated: frozenset[int] = frozenset()
    labels: dict[str, str] = {}
    runtimes: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    networks: tuple[NetworkInfo, ...] = ()
    publish_address: str = ""
    own_ports: frozenset[tuple[str, int]] = frozenset()
    public_key: str = ""
    uuid: str = ""
    record_revision: int = 0

    @property
    def cni(self) -> bool:
        """Whether it plugs containers into networks of the control plane, and into no others."""
        return CNI in self.capabilities


class NodeState:
    """A node with what is taken of it. `shared_millicpus` is what containers without cpus of their own may take."""

    __slots__ = ("containers", "disk_gib", "facts", "memory_mib", "millicpus", "shared_millicpus", "taken_cpus")

    def __init__(self, facts: NodeFacts) -> None:
        self.millicpus = self.memory_mib = self.disk_gib = self.containers = 0
        self.taken_cpus: set[int] = set()
        self.describe(facts)

    def describe(self, facts: NodeFacts) -> None:
        """Take note of what the node is now."""
        self.facts = facts
        self.shared_millicpus = max(0, facts.millicpus - 1000 * len(facts.dedicated))

    @property
    def name(self) -> str:
        """The node's name."""
        return self.facts.name

    @property
    def free_millicpus(self) -> int:
        """What shared containers may still take."""
        return self.shared_millicpus - self.millicpus

    @property
    def free_memory_mib(self) -> int:
        """Memory nobody claimed."""
        return self.facts.memory_mib - self.memory_mib

    @property
    def free_disk_gib(self) -> int:
        """Disk nobody claimed."""
        return self.facts.disk_gib - self.disk_gib

    @property
    def free_cpus(self) -> list[int]:
        """Whole cpus that a container may have for itself, lowest first."""
        return sorted(self.facts.dedicated - self.taken_cpus)

    def take(self, claim: Claim) -> None:
        """Count a claim."""
        self._count(claim, 1)
        self.taken_cpus |= cpus_of(claim)

    def give_back(self, claim: Claim) -> None:
        """Count a claim no longer."""
        self._count(claim, -1)
        self.taken_cpus -= cpus_of(claim)

    def _count(self, claim: Claim, sign: int) -> None:
        if claim.cpuset is None:
            self.millicpus += sign * claim.millicpus
        self.memory_mib += sign * claim.memory_mib
        self.disk_gib += sign * claim.disk_gib
        self.containers += sign


PENDING = 2**62
"""The revision of a claim that is being written: no news overtakes it until it is settled."""


class Held(msgspec.Struct, frozen=True):
    """A container's claim, as of the store's revision in which it was written; `tenant` tells whose it is."""

    node: str
    claim: Claim
    addresses: tuple[str, ...]
    revision: int
    tenant: Tenant


class Cluster:
    """All nodes, in a shuffled ring so that a stretch of it is a fair sample, and all claims on them."""

    def __init__(self, rng: random.Random, tenants: Tenants | None = None) -> None:
        """`tenants`: what counts them, empty (None: nothing does)."""
        self.ring: list[NodeState] = []
        self.networks = Pools()
        self.tenants = tenants or Tenants(isolated=False)
        self._rng = rng
        self._places: dict[str, int] = {}
        self._held: dict[str, Held] = {}
        self._before_move: dict[str, Held] = {}
        self._addresses: dict[str, str] = {}
        self._homeless: dict[str, dict[str, Claim]] = {}
        self._images: dict[str, tuple[str, str]] = {}

    def node(self, name: str) -> NodeState | None:
        """A known node."""
        at = self._places.get(name)
        return self.ring[at] if at is not None else None

    def describe(self, facts: NodeFacts) -> None:
        """A node came or changed."""
        known = self.node(facts.name)
        if known is not None:
            known.describe(facts)
            return
        node = NodeState(facts)
        for claim in self._homeless.pop(facts.name, {}).values():
            node.take(claim)
        self.ring.append(node)
        self._places[facts.name] = len(self.ring) - 1
        self._swap(len(self.ring) - 1, self._rng.randrange(len(self.ring)))

    def forget(self, name: str) -> None:
        """A node went; claims on it are remembered, should it come back."""
        at = self._places.get(name)
        if at is None:
            return
        self._swap(at, len(self.ring) - 1)
        self.ring.pop()
        del self._places[name]
        left = {uuid: held.claim for uuid, held in self._held.items() if held.node == name}
        if left:
            self._homeless[name] = left

    def describe_network(self, record: NetworkRecord, revision: int) -> None:
        """A network came or changed."""
        if self.networks.describe(record, revision):
            for address in self._addresses:
                self.networks.take(address)

    def held(self, uuid: str) -> Held | None:
        """What a container has."""
        return self._held.get(uuid)

    def hold(self, uuid: str, held: Held) -> None:
        """The container's claim is this now; an older one is given back, news from before are ignored."""
        before = self._held.get(uuid)
        if before is not None:
            if held.revision < before.revision:
                return
            if msgspec.structs.replace(before, revision=held.revision) == held:
                self._held[uuid] = held
                return
        self._drop(uuid)
        if before is not None and held.revision == PENDING and before.node != held.node:
            self._before_move[uuid] = before
            self.tenants.come(before.node, before.tenant)
        self._held[uuid] = held
        self.tenants.come(held.node, held.tenant)
        for address in held.addresses:
            self.note_owner(address, uuid)
        node = self.node(held.node)
        if node is not None:
            node.take(held.claim)
        else:
            self._homeless.setdefault(held.node, {})[uuid] = held.claim

    def holders(self) -> list[str]:
        """All containers that hold something."""
        return list(self._held)

    def names(self) -> list[str]:
        """All known nodes."""
        return list(self._places)

    def settle(self, uuid: str, revision: int) -> None:
        """The claim that was being written is written, as of `revision`."""
        self._moved(uuid)
        held = self._held.get(uuid)
        if held is not None and held.revision == PENDING:
            self._held[uuid] = msgspec.structs.replace(held, revision=revision)

    def note_owner(self, address: str, uuid: str) -> None:
        """An address is a container's, though perhaps nothing else is known of that."""
        self._addresses[address] = uuid
        self.networks.take(address)

    def revoke(self, uuid: str) -> None:
        """Give back whatever the container has; who calls it looks up what it really has."""
        self._drop(uuid)

    def undo(self, uuid: str) -> None:
        """The placing that was being written comes to nothing: the container has what it had."""
        before = self._before_move.get(uuid)
        self._drop(uuid)
        if before is not None:
            self.hold(uuid, before)

    def release(self, uuid: str, revision: int) -> None:
        """The container has no place any more as of `revision`; ignored when it got one later."""
        held = self._held.get(uuid)
        if held is not None and held.revision <= revision:
            self._drop(uuid)

    def keep_image(self, uuid: str, reference: str, node: str) -> None:
        """A committed image lies on a node."""
        self._images[uuid] = (reference, node)

    def forget_image(self, uuid: str) -> None:
        """It does no longer."""
        self._images.pop(uuid, None)

    def images(self) -> list[str]:
        """The uuids of all committed images."""
        return list(self._images)

    def has_image(self, reference: str, node: str) -> bool:
        """Whether a committed image lies on a node."""
        return (reference, node) in self._images.values()

    def owner(self, address: str) -> str | None:
        """The container that holds a fixed address (by its key)."""
        return self._addresses.get(address)

    def _moved(self, uuid: str) -> None:
        """Whoever is to leave a node is a neighbour there until that is written: it may stay after all."""
        before = self._before_move.pop(uuid, None)
        if before is not None:
            self.tenants.go(before.node, before.tenant)

    def _drop(self, uuid: str) -> None:
        self._moved(uuid)
        held = self._held.pop(uuid, None)
        if held is None:
            return
        self.tenants.go(held.node, held.tenant)
        for address in held.addresses:
            if self._addresses.get(address) == uuid:
                del self._addresses[address]
                self.networks.give_back(address)
        node = self.node(held.node)
        if node is not None:
            node.give_back(held.claim)
            return
        homeless = self._homeless.get(held.node, {})
        homeless.pop(uuid, None)
        if not homeless:
            self._homeless.pop(held.node, None)

    def _swap(self, one: int, other: int) -> None:
        self.ring[one], self.ring[other] = self.ring[other], self.ring[one]
        self._places[self.ring[one].facts.name] = one
        self._places[self.ring[other].facts.name] = other


def cpus_of(claim: Claim) -> set[int]:
    """The cpus a claim has for itself."""
    return {int(cpu) for cpu in claim.cpuset.split(",")} if claim.cpuset else set()
