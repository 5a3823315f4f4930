# SPDX-License-Identifier: Apache-2.0
"""Fixed addresses: which network of a node is meant, and the key that gives an address to one container only.

On networks of the control plane every address has such a key (`zun.controllers.scheduling.pools`).
"""

import ipaddress
from collections.abc import Iterator

from zun.controllers.scheduling.cluster import NodeFacts
from zun.controllers.scheduling.requests import Request
from zun.model.container import NetRequest
from zun.model.records import NetworkInfo
from zun.store import keys


def network_of(net: NetRequest, node: NodeFacts) -> NetworkInfo | None:
    """The network of the node's engine that the request names, by name or id."""
    if net.id:
        return None
    return next((known for known in node.networks if net.network in {known.name, known.id}), None)


def address_keys(request: Request, node: NodeFacts) -> Iterator[str]:
    """The claims that the request's fixed addresses need on a node. Networks of an engine are the node's own."""
    if node.cni:
        for net in request.nets if request.kept is None else ():
            yield from (keys.address(net.id, str(ipaddress.ip_address(given))) for given in fixed(net))
        return
    for net in request.nets:
        network = network_of(net, node)
        if network is None:
            continue
        for given in fixed(net):
            yield keys.address(f"{node.name}:{network.name}", str(ipaddress.ip_address(given)))


def fixed(net: NetRequest) -> list[str]:
    """The addresses that a request names."""
    return [given for given in (net.v4_fixed_ip, net.v6_fixed_ip) if given]
