# SPDX-License-Identifier: Apache-2.0
"""Attaching networks of engines to containers that exist, and detaching them: what can be refused before the node is asked."""

import msgspec

from zun.model.container import NetRequest
from zun.model.errors import Conflict, Invalid
from zun.model.parts import ENGINE_DEFAULT_NETWORK
from zun.model.records import NetworkInfo, NodeInfo, Verb
from zun.model.states import Status
from zun.services import requirements
from zun.services.intents import Change
from zun.services.options import ContainerOptions


class NetworkArguments(msgspec.Struct, frozen=True):
    """What a request to attach or detach names."""

    network: str | None = None
    port: str | None = None
    fixed_ip: str | None = None


def attach(
    change: Change, asked: NetworkArguments, nodes: list[NodeInfo], options: ContainerOptions
) -> tuple[str, str | None]:
    """The network (as its node names it) and the address to ask for. Raises what the wire contract says."""
    refuse_leaving(change, Verb.NETWORK_ATTACH)
    if asked.port and asked.network:
        raise Invalid("'network' and 'port' exclude each other; give one.")
    if asked.port:
        raise requirements.no_neutron("'port'")
    there = _its_nodes(change, nodes)
    name = asked.network or _default(there, options)
    fixed = NetRequest(
        network=name,
        v4_fixed_ip=asked.fixed_ip if asked.fixed_ip and ":" not in asked.fixed_ip else None,
        v6_fixed_ip=asked.fixed_ip if asked.fixed_ip and ":" in asked.fixed_ip else None,
    )
    if there:
        requirements.check_network(fixed, there)
    known = _network(name, there)
    if _is_on(change, name, there):
        raise Invalid(f"Container {change.record.uuid} is on network {name} already.")
    return (known.name if known is not None else name), asked.fixed_ip


def detach(change: Change, asked: NetworkArguments, nodes: list[NodeInfo]) -> str:
    """The network to leave (as its node names it). Raises what the wire contract says."""
    refuse_leaving(change, Verb.NETWORK_DETACH)
    if bool(asked.port) == bool(asked.network):
        raise Invalid("Give exactly one of 'network' and 'port'.")
    there = _its_nodes(change, nodes)
    if asked.port:
        addresses = change.seen.addresses if change.seen is not None else []
        name = next((address.network for address in addresses if address.port == asked.port), None)
        if name is None:
            raise requirements.no_neutron("'port' names nothing that the container has; another port")
    else:
        name = asked.network or ""
        if there:
            requirements.check_network(NetRequest(network=name), there)
    if _is_on(change, name, there) is False:
        raise Invalid(f"Container {change.record.uuid} is not on network {name}.")
    known = _network(name, there)
    return known.name if known is not None else name


def refuse_leaving(change: Change, verb: Verb) -> None:
    """Raises `Conflict` for a container that is being deleted."""
    status = change.derived.status
    if status in {Status.DELETING, Status.DELETED}:
        raise Conflict(
            f"Cannot {verb.value} container {change.record.uuid} in {status.value} state.",
            code="invalid-state-exception",
        )


def _its_nodes(change: Change, nodes: list[NodeInfo]) -> list[NodeInfo]:
    """Its own node, or all while it has none."""
    own = [node for node in nodes if node.node == change.node]
    return own or nodes


def _default(nodes: list[NodeInfo], options: ContainerOptions) -> str:
    if options.default_network:
        return options.default_network
    if any(_network(ENGINE_DEFAULT_NETWORK, [node]) for node in nodes):
        return ENGINE_DEFAULT_NETWORK
    raise Conflict("There is no default network to attach; name one with 'network'.")


def _network(ident: str, nodes: list[NodeInfo]) -> NetworkInfo | None:
    found = (network for node in nodes for network in node.networks if requirements.names(network, ident))
    return next(found, None)


def _key(ident: str, nodes: list[NodeInfo]) -> str:
    """The network's name, whether it was called by name or id."""
    network = _network(ident, nodes)
    return network.name if network is not None else ident


def _is_on(change: Change, ident: str, nodes: list[NodeInfo]) -> bool | None:
    """Whether it is on a network, or will be when everything that waits is done. None: only its node knows.

    (A stopped container has no addresses, though it may have networks.)
    """
    name = _key(ident, nodes)
    for intent in reversed(change.pending):
        if intent.network and _key(intent.network, nodes) == name:
            return intent.verb is Verb.NETWORK_ATTACH
    if change.seen is None:
        wished = [net.network for net in change.record.spec.nets] or [ENGINE_DEFAULT_NETWORK]
        return name in {_key(net, nodes) for net in wished}
    if not change.seen.addresses:
        return None
    return name in {_key(address.network, nodes) for address in change.seen.addresses}
