# SPDX-License-Identifier: Apache-2.0
"""Fixed addresses: which network of a node is meant, and the key that gives an address to one container only."""

import ipaddress
from collections.abc import Iterator

from zun.controllers.scheduling.cluster import NodeFacts
from zun.controllers.scheduling.requests import Request
from zun.model.container import NetRequest
from zun.model.records import NetworkInfo
from zun.store import keys


def network_of(net: NetRequest, node: NodeFacts) -> NetworkInfo | None:
    """The node's network that the request names, by name or id."""
    return next((known for known in node.networks if net.network in {known.name, known.id}), None)


def address_keys(request: Request, node: NodeFacts) -> Iterator[str]:
    """The claims that the request's fixed addresses need on a node. Networks of an engine are the node's own."""
    for net in request.nets:
        network = network_of(net, node)
        if network is None:
            continue
        for given in (net.v4_fixed_ip, net.v6_fixed_ip):
            if given:
                yield keys.address(f"{node.name}:{network.name}", str(ipaddress.ip_address(given)))
