# SPDX-License-Identifier: Apache-2.0
"""Which network a project means: one of the control plane that is for it, else one that the engines of hosts have."""

from collections.abc import Sequence

import msgspec

from zun.model.container import NetRequest
from zun.model.errors import Conflict, Invalid, Unsupported
from zun.model.networks import CNI, NetworkRecord, check_fixed, default_network
from zun.model.records import NodeInfo
from zun.services.requirements import check_network, known_nodes, with_names
from zun.store.view import View


def usable(view: View, project_id: str | None, ident: str) -> NetworkRecord | None:
    """The network of the control plane of that name or uuid; None also for one that is not for the project (None: for any)."""
    for network in view.networks():
        if ident in {network.name, network.uuid} and (project_id is None or network.is_for(project_id)):
            return network
    return None


def resolve(nets: Sequence[NetRequest], view: View, project_id: str) -> list[NetRequest]:
    """The networks asked for, those of the control plane with their ids, those of engines with their names.

    Raises `NotFound`, `Invalid` for addresses that cannot be had, for the same network twice and for both kinds together,
    `Unsupported` when no host can plug into such networks, `Conflict` when it has to be one and there is none for the project.
    """
    nodes = known_nodes(view)
    found = [_resolved(net, view, project_id, nodes) for net in nets]
    own = [net.id for net in found if net.id]
    if not found and nodes and all(map(offers, nodes)) and default_network(view.networks(), project_id) is None:
        raise Conflict("There is no network for containers of this project; ask an administrator to make one.")
    if not own:
        return found
    if len(own) != len(found):
        raise Invalid(
            "Networks of the service and of a container engine cannot be mixed; name only one kind in 'nets'."
        )
    if len(set(own)) != len(own):
        raise Invalid("A network is named twice in 'nets'; a container can be on it once.")
    if nodes and not any(map(offers, nodes)):
        raise Unsupported(
            f"No host here can plug containers into network {found[0].network}; an administrator has to set "
            "driver = cni in section [network] of a host."
        )
    return found


def offers(node: NodeInfo) -> bool:
    """Whether a node plugs into networks of the control plane."""
    return CNI in node.capabilities


def _resolved(net: NetRequest, view: View, project_id: str, nodes: list[NodeInfo]) -> NetRequest:
    own = usable(view, project_id, net.network) if net.network else None
    if own is None:
        if nodes and net.network:
            check_network(net, nodes)
        return with_names(net, nodes)
    if own.closing:
        raise Conflict(f"Network {own.name} is being removed; take another one.")
    check_fixed(net, own)
    return msgspec.structs.replace(net, network=own.name, id=own.uuid)
