# SPDX-License-Identifier: Apache-2.0
"""What a container needs that this installation may not have: refused with a clear answer before anything is recorded.

Whether one node has everything at once, and room for it, is the scheduler's question; here it is whether any node offers a thing at all.
Nodes count whether they report at the moment or not. While no node is known nothing is refused: the scheduler will say so.
"""

import ipaddress
from collections.abc import Iterable

import msgspec

from zun.drivers.runtime.types import Capability
from zun.model.children import Child
from zun.model.container import ContainerSpec, NetRequest
from zun.model.errors import Invalid, NotFound, Unsupported, ZunError
from zun.model.records import NetworkInfo, NodeInfo
from zun.model.resources import DEDICATED
from zun.store.view import View

_CAPABILITIES: dict[Capability, str] = {
    Capability.PRIVILEGED: "privileged containers ('privileged')",
    Capability.VOLUMES: "named volumes ('mounts' with a source)",
    Capability.CPUSET: "cpus of one's own ('cpu_policy': 'dedicated')",
    Capability.HEALTH: "health checks ('healthcheck', probes of a capsule's containers)",
    Capability.NETWORKS: "a choice of networks ('nets')",
    Capability.DISK_QUOTA: "a limit of disk space ('disk')",
    Capability.CAPSULES: "capsules",
    Capability.SANDBOXED_CAPSULES: "capsules in a sandboxed runtime, which those of your project must be in",
    Capability.PUBLISH: "published ports ('published_ports')",
}


def known_nodes(view: View) -> list[NodeInfo]:
    """The nodes that told what they are."""
    return [node.info for node in view.nodes() if node.info is not None]


def check(spec: ContainerSpec, view: View) -> None:
    """Raises `Unsupported` for what no node can do. (Networks are the business of `own_networks`.)"""
    check_services(spec)
    _check(_needed(spec), spec, view)


def check_capsule(spec: ContainerSpec, children: Iterable[Child], view: View) -> None:
    """The same for a capsule and its containers."""
    needed = _needed(spec) | {Capability.CAPSULES}
    if spec.runtime is not None:
        needed.add(Capability.SANDBOXED_CAPSULES)
    for child in children:
        needed |= _needed(child.spec) | ({Capability.HEALTH} if child.probes is not None else set())
    _check(needed, spec, view)


def _check(needed: set[Capability], spec: ContainerSpec, view: View) -> None:
    if not needed and spec.runtime is None:
        return
    nodes = known_nodes(view)
    if not nodes:
        return
    for capability in sorted(needed):
        if not any(_offers(node, capability) for node in nodes):
            raise Unsupported(f"No host here offers {_CAPABILITIES[capability]}; do without.")
    if spec.runtime is not None and not any(spec.runtime in node.runtimes for node in nodes):
        runtimes = sorted({runtime for node in nodes for runtime in node.runtimes})
        raise Unsupported(f"No host here offers the runtime '{spec.runtime}'; there are: {', '.join(runtimes)}.")


def check_services(spec: ContainerSpec) -> None:
    """Raises `Unsupported` for fields that need a service of the cloud that is not connected."""
    if spec.image_driver == "glance":
        raise no_glance()
    if spec.security_groups:
        raise Unsupported("Field 'security_groups' needs Neutron, which is not configured here; leave it out.")
    if any(net.port for net in spec.nets):
        raise no_neutron("Field 'nets' names a port, which")


def no_glance() -> ZunError:
    """The refusal of images from Glance."""
    return Unsupported("Image driver 'glance' needs Glance, which is not configured here; use the driver 'docker'.")


def no_neutron(what: str) -> ZunError:
    """The refusal of a Neutron port; `what` begins the sentence."""
    return Unsupported(
        f"{what} needs Neutron, which is not configured here; name a network instead.", code="port-not-usable"
    )


def check_network(net: NetRequest, nodes: Iterable[NodeInfo]) -> None:
    """Raises `NotFound` when none of the nodes has the network, `Invalid` when it cannot give the addresses asked for."""
    networks = [network for node in nodes for network in node.networks]
    found = [network for network in networks if names(network, net.network)]
    if not found:
        there = ", ".join(sorted({network.name for network in networks})) or "none"
        raise NotFound(f"Network {net.network} could not be found; there are: {there}.", code="network-not-found")
    for address in (net.v4_fixed_ip, net.v6_fixed_ip):
        if address is not None:
            _check_address(address, net.network, found)


def with_names(net: NetRequest, nodes: Iterable[NodeInfo]) -> NetRequest:
    """The request with the network's name for its id: an id belongs to one node's engine, a name means the same on all."""
    known = next((network for node in nodes for network in node.networks if names(network, net.network)), None)
    return msgspec.structs.replace(net, network=known.name) if known is not None else net


def names(network: NetworkInfo, ident: str) -> bool:
    """Whether `ident` is the network's name or id."""
    return ident in {network.name, network.id}


def _check_address(address: str, name: str, networks: list[NetworkInfo]) -> None:
    able = [network for network in networks if network.fixed_addresses]
    if not able:
        raise Invalid(f"Network {name} does not let one choose an address; leave the fixed address out.")
    subnets = [subnet for network in able for subnet in network.subnets]
    try:
        asked = ipaddress.ip_address(address)
    except ValueError as error:
        raise Invalid(f"{address} is no IP address; write it like 10.9.0.20.") from error
    if subnets and not any(asked in ipaddress.ip_network(subnet, strict=False) for subnet in subnets):
        raise Invalid(f"Address {address} is not on network {name}; its subnets are {', '.join(subnets)}.")


def _needed(spec: ContainerSpec) -> set[Capability]:
    wanted = {
        Capability.PRIVILEGED: spec.privileged,
        Capability.VOLUMES: any(mount.file is None for mount in spec.mounts),
        Capability.CPUSET: spec.cpu_policy == DEDICATED,
        Capability.HEALTH: spec.healthcheck is not None,
        Capability.NETWORKS: bool(spec.nets),
        Capability.DISK_QUOTA: spec.disk > 0,
        Capability.PUBLISH: bool(spec.published_ports),
    }
    return {capability for capability, needed in wanted.items() if needed}


def _offers(node: NodeInfo, capability: Capability) -> bool:
    if capability is Capability.DISK_QUOTA and node.disk_quota_supported:
        return True
    if capability is Capability.CPUSET and not node.dedicated_cpus:
        return False
    return capability.value in node.capabilities
