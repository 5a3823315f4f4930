# SPDX-License-Identifier: Apache-2.0
"""Attaching networks of the service to containers that exist, and detaching them: what can be refused before the leader is asked."""

import msgspec

from zun.model.container import NetRequest
from zun.model.errors import Conflict, Invalid, NotFound
from zun.model.networks import NetworkRecord, check_fixed, default_network
from zun.model.records import Intent, Verb
from zun.services.intents import Change
from zun.services.networking import NetworkArguments, refuse_leaving
from zun.services.options import ContainerOptions
from zun.services.own_networks import offers, usable
from zun.services.requirements import known_nodes, no_neutron
from zun.store.view import View


def concerns(change: Change, view: View) -> bool:
    """Whether a container is, or will be, on networks of the service."""
    if change.place is not None and (change.node or change.place.attachments is not None):
        return change.place.attachments is not None
    if change.record.spec.nets:
        return bool(change.record.spec.nets[0].id)
    nodes = known_nodes(view)
    return bool(nodes) and all(map(offers, nodes))


def attach(change: Change, intent: Intent, asked: NetworkArguments, view: View, options: ContainerOptions) -> Intent:
    """The intent with the network and the address to ask for. Raises what the wire contract says."""
    refuse_leaving(change, Verb.NETWORK_ATTACH)
    if asked.port and asked.network:
        raise Invalid("'network' and 'port' exclude each other; give one.")
    if asked.port:
        raise no_neutron("'port'")
    network = _named(change, view, asked.network or options.default_network)
    if network.closing:
        raise Conflict(f"Network {network.name} is being removed; take another one.")
    fixed, is_v6 = asked.fixed_ip, ":" in (asked.fixed_ip or "")
    check_fixed(
        NetRequest(network.name, v4_fixed_ip=None if is_v6 else fixed, v6_fixed_ip=fixed if is_v6 else None), network
    )
    if _is_on(change, network):
        raise Invalid(f"Container {change.record.uuid} is on network {network.name} already.")
    return msgspec.structs.replace(intent, network=network.name, network_id=network.uuid, fixed_ip=fixed)


def detach(change: Change, intent: Intent, asked: NetworkArguments, view: View) -> Intent:
    """The intent with the network to leave. Raises what the wire contract says."""
    refuse_leaving(change, Verb.NETWORK_DETACH)
    if bool(asked.port) == bool(asked.network):
        raise Invalid("Give exactly one of 'network' and 'port'.")
    if asked.port:
        raise no_neutron("'port' names nothing that the container has; another port")
    network = _named(change, view, asked.network)
    if not _is_on(change, network):
        raise Invalid(f"Container {change.record.uuid} is not on network {network.name}.")
    return msgspec.structs.replace(intent, network=network.name, network_id=network.uuid)


def _named(change: Change, view: View, ident: str | None) -> NetworkRecord:
    project = change.record.project_id
    found = usable(view, project, ident) if ident else default_network(view.networks(), project)
    if found is not None:
        return found
    if not ident:
        raise Conflict("There is no default network to attach; name one with 'network'.")
    there = ", ".join(one.name for one in view.networks() if one.is_for(project)) or "none"
    raise NotFound(f"Network {ident} could not be found; there are: {there}.", code="network-not-found")


def _is_on(change: Change, network: NetworkRecord) -> bool:
    """Whether it is on a network, or will be when everything that waits is done."""
    place = change.place
    refused = place.networks_refused if place is not None else {}
    for intent in reversed(change.pending):
        if intent.network_id == network.uuid and intent.n not in refused:
            return intent.verb is Verb.NETWORK_ATTACH
    if place is not None and place.attachments is not None:
        return any(one.network == network.uuid for one in place.attachments)
    nets = change.record.spec.nets
    default = [] if nets else [network.uuid]  # not placed yet; who names none will be on one, most likely this one
    return network.uuid in {net.id for net in nets} | set(default)
