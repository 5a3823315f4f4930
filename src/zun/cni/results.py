# SPDX-License-Identifier: Apache-2.0
"""What an ADD answers, in the form of each version of the CNI specification (section "Success")."""

from typing import Any

import msgspec

from zun.cni.journal import Bound
from zun.cni.names import bridge_mac, bridge_name, link_mac, link_name
from zun.model.attachments import InterfaceAddress

_LOOPBACK = InterfaceAddress("127.0.0.1", 8)
_WITH_IP_VERSION = frozenset({"0.3.1", "0.4.0"})


def result_document(version: str, bound: Bound, asked: str) -> bytes:
    """All interfaces of a sandbox; its own come in the order of its attachments, the primary one first.

    CRI engines call a sandbox made only when the interface that they asked for has an address. Where none of the sandbox's is called so
    (another one was attached since, or all were detached), the primary one's addresses, or loopback's, are told without an interface,
    which they take for the one that they asked for.
    """
    interfaces: list[dict[str, str]] = []
    ips: list[dict[str, Any]] = []
    routes: list[dict[str, str]] = []
    has_asked = asked in {attachment.ifname for attachment in bound.sandbox.attachments}
    for attachment in bound.sandbox.attachments:
        number = len(interfaces) if interfaces or has_asked else None
        interfaces.append({"name": attachment.ifname, "mac": attachment.mac, "sandbox": bound.netns})
        ips += [_ip(version, address, number) for address in attachment.addresses]
        routes += [
            {"dst": route.destination, "gw": route.gateway} if route.gateway else {"dst": route.destination}
            for route in attachment.routes
        ]
    if not bound.sandbox.attachments:
        ips.append(_ip(version, _LOOPBACK, None))
    for attachment in bound.sandbox.attachments:
        interfaces.append({"name": bridge_name(attachment.network), "mac": bridge_mac(attachment.network)})
        link = link_name(bound.container_id, attachment.ifname)
        interfaces.append({"name": link, "mac": link_mac(bound.container_id, attachment.ifname)})
    defaults = default_gateways([address for one in bound.sandbox.attachments for address in one.addresses])
    routes += [{"dst": "::/0" if ":" in gateway else "0.0.0.0/0", "gw": gateway} for gateway in defaults]
    dns = bound.sandbox.dns
    told = {
        "cniVersion": version,
        "interfaces": interfaces,
        "ips": ips,
        "routes": routes,
        "dns": {"nameservers": dns.servers, "search": dns.search, "options": dns.options},
    }
    return msgspec.json.encode(told)


def default_gateways(addresses: list[InterfaceAddress]) -> list[str]:
    """The gateways that get the default routes: for each version the first there is."""
    found: dict[int, str] = {}
    for address in addresses:
        if address.gateway:
            found.setdefault(address.version, address.gateway)
    return [found[version] for version in sorted(found)]


def differences(bound: Bound, previous: dict[str, Any]) -> list[str]:
    """In what the answer that an engine remembers differs from what is bound."""
    told = {str(one.get("address")) for one in previous.get("ips") or () if isinstance(one, dict)} - {_shown(_LOOPBACK)}
    ours = {_shown(address) for attachment in bound.sandbox.attachments for address in attachment.addresses}
    return [f"the engine remembers {address}, which is not bound" for address in sorted(told - ours)]


def _shown(address: InterfaceAddress) -> str:
    return f"{address.addr}/{address.prefix}"


def _ip(version: str, address: InterfaceAddress, interface: int | None) -> dict[str, Any]:
    told: dict[str, Any] = {"address": _shown(address)}
    if interface is not None:
        told["interface"] = interface
    if address.gateway:
        told["gateway"] = address.gateway
    return {"version": str(address.version), **told} if version in _WITH_IP_VERSION else told
