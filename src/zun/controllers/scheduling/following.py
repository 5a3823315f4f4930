# SPDX-License-Identifier: Apache-2.0
"""Keeps the planner's snapshot in step with the view, change by change."""

import ipaddress
import random

from zun.base import addresses
from zun.controllers.scheduling.cluster import Cluster, Held, NodeFacts
from zun.controllers.scheduling.tenants import Tenants, tenant_in
from zun.drivers.runtime.types import Capability
from zun.store.view import Change, ContainerEntry, ImageEntry, NodeEntry, View


class Follower:
    """Carries what the view shows of nodes and places into a cluster."""

    def __init__(self, view: View, rng: random.Random, tenants: Tenants) -> None:
        self._view = view
        self.cluster = Cluster(rng, tenants)

    def rebuild(self) -> None:
        """Take in everything as it is; for the beginning, and when changes were missed."""
        present = {node.name for node in self._view.nodes()}
        for name in self.cluster.names():
            if name not in present:
                self.cluster.forget(name)
        for node in self._view.nodes():
            self._take_node(node.name, node)
        there = {record.name for record in self._view.networks()}
        for name in {*self.cluster.networks.names(), *there}:
            self._take_network(name)
        for uuid in self.cluster.images():
            self._take_image(uuid, self._view.image(uuid))
        for image in self._view.images():
            self._take_image(image.wish.uuid, image)
        for uuid in self.cluster.holders():
            if self._view.container(uuid) is None:
                self.cluster.release(uuid, self._view.revision)
        for entry in self._view.containers():
            self.take(entry.uuid, entry, self._view.revision)

    def apply(self, change: Change) -> bool:
        """Take in one change; returns whether a node may have become able to have containers that it could not have before."""
        if change.kind == "node":
            before = self.cluster.node(change.id)
            could = before is not None and _takes_new(before.facts)
            self._take_node(change.id, self._view.node(change.id))
            after = self.cluster.node(change.id)
            return after is not None and _takes_new(after.facts) and not could
        if change.kind == "network":
            self._take_network(change.id)
        elif change.kind == "image":
            self._take_image(change.id, self._view.image(change.id))
        elif change.kind == "container":
            self.take(change.id, self._view.container(change.id), change.revision)
        return False

    def take(self, uuid: str, entry: ContainerEntry | None, revision: int) -> None:
        """What a container has, as of `revision`."""
        if entry is None or not entry.place_revision:
            self.cluster.release(uuid, revision)
            return
        held = self.cluster.held(uuid)
        if held is not None and held.revision >= entry.place_revision:
            return
        place = entry.place()
        if place is not None and not place.node and not place.addresses:
            self.cluster.release(uuid, revision)
        elif place is not None:  # one that waits for another node keeps its addresses
            self.cluster.hold(
                uuid,
                Held(
                    node=place.node,
                    claim=place.claim,
                    addresses=tuple(place.addresses),
                    revision=entry.place_revision,
                    tenant=tenant_in(entry.wish_raw),
                ),
            )

    def any_node_up(self, *names: str) -> bool:
        """Whether at least one of these nodes (without names: of all) is registered and reports."""
        found = [self.cluster.node(name) for name in names or self.cluster.names()]
        return any(node is not None and node.facts.up for node in found)

    def _take_network(self, name: str) -> None:
        held = self._view.network(name)
        if held is None:
            self.cluster.networks.forget(name)
        else:
            self.cluster.describe_network(held.record, held.revision)

    def _take_image(self, uuid: str, image: ImageEntry | None) -> None:
        """Only committed images matter: others can be pulled anywhere."""
        if image is not None and image.wish.committed and not image.wish.absent:
            self.cluster.keep_image(uuid, image.wish.source.reference, image.wish.node)
        else:
            self.cluster.forget_image(uuid)

    def _take_node(self, name: str, node: NodeEntry | None) -> None:
        facts = facts_of(node) if node is not None else None
        if facts is None:
            self.cluster.forget(name)
        else:
            self.cluster.describe(facts)


def _takes_new(facts: NodeFacts) -> bool:
    return facts.up and facts.enabled and not facts.draining


def facts_of(node: NodeEntry) -> NodeFacts | None:
    """What placing needs to know of a node; None of one that is not registered. One that never reported is down."""
    record, info = node.record, node.info
    if record is None:
        return None
    said = NodeFacts(
        name=node.name,
        up=False,
        enabled=not record.disabled,
        forced_down=record.forced_down,
        draining=record.draining,
        restarting=node.restarting,
        zone=record.zone,
        public_key=record.public_key,
        record_revision=node.record_revision,
    )
    if info is None:
        return said
    address = _address(info.publish_address)
    capabilities = frozenset(info.capabilities)
    return NodeFacts(
        name=said.name,
        up=node.alive,
        enabled=said.enabled,
        forced_down=said.forced_down,
        draining=said.draining,
        restarting=said.restarting,
        zone=said.zone,
        cpus=info.cpus,
        millicpus=info.millicpus,
        memory_mib=info.memory_mib,
        disk_gib=info.disk_gib,
        disk_quota=info.disk_quota_supported,
        dedicated=frozenset(info.dedicated_cpus),
        labels=info.labels,
        runtimes=frozenset(info.runtimes),
        capabilities=capabilities if address else capabilities - {Capability.PUBLISH.value},
        networks=tuple(info.networks),
        publish_address=address,
        own_ports=_own_ports(info.stream_address),
        public_key=said.public_key,
        uuid=info.uuid,
        record_revision=said.record_revision,
    )


def _address(told: str) -> str:
    """What people are shown as the place of published ports is an address, whatever a node says; else it publishes nothing."""
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        return ""


def _own_ports(stream_address: str) -> frozenset[tuple[str, int]]:
    """Whatever a node tells is taken for no more than it is."""
    try:
        return frozenset({("tcp", addresses.address(stream_address)[1])})
    except ValueError:
        return frozenset()
