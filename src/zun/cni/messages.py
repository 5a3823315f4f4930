# SPDX-License-Identifier: Apache-2.0
"""The changes of links, addresses and routes that binding is made of, as messages to the kernel: what is asked for, read off in one place."""

import ipaddress
import socket
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from zun.cni.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from zun.model.attachments import Route

Change = tuple[int, Any, int]
"""The kind of a request, its message, its flags."""

UP = 0x1

_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _SETLINK = 16, 17, 20, 24, 19
_NO_DAD = 0x02
_MAIN_TABLE, _STATIC, _UNICAST = 254, 4, 1
_ANYWHERE, _ON_LINK = 0, 253
_LINK_LOCAL_PREFIX = 64


def bridge(name: str, mac: str, mtu: int) -> Change:
    """Make a bridge, down. Packets within it are shown to the packet filter, so that one set of rules serves all packets."""
    message = ifinfmsg()
    data = [("IFLA_BR_STP_STATE", 0), ("IFLA_BR_FORWARD_DELAY", 0)]
    data += [("IFLA_BR_NF_CALL_IPTABLES", 1), ("IFLA_BR_NF_CALL_IP6TABLES", 1)]
    info = {"attrs": [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", {"attrs": data})]}
    message["attrs"] = [("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac), ("IFLA_MTU", mtu), ("IFLA_LINKINFO", info)]
    return _NEWLINK, message, NLM_F_CREATE | NLM_F_EXCL


def pair(name: str, mac: str, mtu: int, *, master: int, peer: str, peer_mac: str, namespace: int) -> Change:
    """Make two ends, down: `name` here in a bridge, `peer` in the namespace that is open as a descriptor."""
    message = ifinfmsg()
    other = [("IFLA_IFNAME", peer), ("IFLA_ADDRESS", peer_mac), ("IFLA_MTU", mtu), ("IFLA_NET_NS_FD", namespace)]
    data = {"attrs": [("VETH_INFO_PEER", {"attrs": other})]}
    info = {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)]}
    message["attrs"] = [("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac), ("IFLA_MTU", mtu)]
    message["attrs"] += [("IFLA_MASTER", master), ("IFLA_LINKINFO", info)]
    return _NEWLINK, message, NLM_F_CREATE | NLM_F_EXCL


def up(index: int) -> Change:
    """Put a link into use."""
    message = ifinfmsg()
    message["index"], message["flags"], message["change"] = index, UP, UP
    return _SETLINK, message, 0


def up_by_name(name: str, master: int) -> Change:
    """Put a link into a bridge and into use."""
    message = ifinfmsg()
    message["flags"], message["change"] = UP, UP
    message["attrs"] = [("IFLA_IFNAME", name), ("IFLA_MASTER", master)]
    return _SETLINK, message, 0


def reflect(name: str) -> Change:
    """Let a bridge send frames back to where they came from: a sandbox that uses its own published port needs it."""
    message = ifinfmsg()
    info = {
        "attrs": [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", {"attrs": [("IFLA_BRPORT_MODE", 1)]})]
    }
    message["attrs"] = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)]
    return _NEWLINK, message, 0


def remove_link(name: str) -> Change:
    """Remove a link; of a pair both ends go."""
    message = ifinfmsg()
    message["attrs"] = [("IFLA_IFNAME", name)]
    return _DELLINK, message, 0


def address(index: int, addr: str, prefix: int) -> Change:
    """Give a link an address, in use at once: the control plane knows that nobody else has it. Doing it again changes nothing."""
    message = ifaddrmsg()
    held = ipaddress.ip_address(addr)
    message["family"] = socket.AF_INET6 if held.version == 6 else socket.AF_INET
    message["prefixlen"], message["index"] = prefix, index
    message["scope"] = _ON_LINK if held.is_link_local else _ANYWHERE
    message["attrs"] = [("IFA_LOCAL", addr), ("IFA_ADDRESS", addr)]
    if held.version == 6:
        message["attrs"].append(("IFA_FLAGS", _NO_DAD))
    elif prefix < held.max_prefixlen - 1:
        subnet = ipaddress.ip_network(f"{addr}/{prefix}", strict=False)
        message["attrs"].append(("IFA_BROADCAST", str(subnet.broadcast_address)))
    return _NEWADDR, message, NLM_F_CREATE | NLM_F_REPLACE


def link_local(index: int, mac: str) -> Change:
    """The IPv6 address every interface has, made from its MAC; the kernel is told not to choose one."""
    return address(index, link_local_of(mac), _LINK_LOCAL_PREFIX)


def link_local_of(mac: str) -> str:
    """RFC 4291, appendix A: fe80:: and the MAC with ff:fe in its middle and one bit turned over."""
    octets = bytearray(int(part, 16) for part in mac.split(":"))
    octets[0] ^= 0x02
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:]))


def route(index: int, wanted: Route) -> Change:
    """A route through a link, in place of an equal one."""
    message = rtmsg()
    destination = ipaddress.ip_network(wanted.destination)
    message["family"] = socket.AF_INET6 if destination.version == 6 else socket.AF_INET
    message["dst_len"], message["table"], message["proto"], message["type"] = (
        destination.prefixlen,
        _MAIN_TABLE,
        _STATIC,
        _UNICAST,
    )
    message["scope"] = _ANYWHERE if wanted.gateway or destination.version == 6 else _ON_LINK
    message["attrs"] = [("RTA_OIF", index)]
    if destination.prefixlen:
        message["attrs"].append(("RTA_DST", str(destination.network_address)))
    if wanted.gateway:
        message["attrs"].append(("RTA_GATEWAY", wanted.gateway))
    return _NEWROUTE, message, NLM_F_CREATE | NLM_F_REPLACE
