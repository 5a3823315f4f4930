# SPDX-License-Identifier: Apache-2.0
"""The rules, as text for nft. Pure.

The rules themselves never change; sandboxes come and go as elements of sets and maps, so that one more costs the same however many
there are. An interface of ours that no set knows says nothing on the network: whatever is forgotten is closed.

Table `bridge zun` stands where frames come from a sandbox: they carry its MAC and its addresses or go no further (ARP and IPv6
neighbour discovery too), and no router advertisements. Table `inet zun` stands where packets are forwarded, between bridges and, as the
bridges are made (`br_netfilter`), within one: another network is out of reach, except by a port it publishes; from outside come answers
and what goes to published ports only; `exposed` closes the other ports of a sandbox. It also translates: published ports, and the
addresses of what leaves the machine.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address

from zun.cni.journal import Bound
from zun.cni.messages import link_local_of
from zun.cni.names import BRIDGE_PREFIX, LINK_PREFIX, bridge_name, link_name
from zun.model.attachments import Attachment, PublishedPort

TABLE = "zun"
FAMILIES = ("bridge", "inet")
Place = tuple[str, str]
"""A set or map: the family of its table, its name."""

Elements = Mapping[Place, frozenset[str]]

SETS: Mapping[Place, str] = {
    ("bridge", "macs"): "type ifname . ether_addr",
    ("bridge", "v4"): "type ifname . ipv4_addr",
    ("bridge", "v6"): "type ifname . ipv6_addr",
    ("bridge", "neighbours"): "typeof iifname . @th,64,128",  # the same addresses, as what an advertisement is about
    ("inet", "within"): "type ifname . ifname",
    ("inet", "uplinks"): "type ifname",
    ("inet", "closed4"): "type ipv4_addr",
    ("inet", "closed6"): "type ipv6_addr",
    ("inet", "selves4"): "type ipv4_addr . ipv4_addr",  # who may come to itself by a port of the machine
    ("inet", "selves6"): "type ipv6_addr . ipv6_addr",
    ("inet", "open4"): "type ipv4_addr . inet_proto . inet_service",
    ("inet", "open6"): "type ipv6_addr . inet_proto . inet_service",
}
MAPS: Mapping[Place, str] = {
    ("inet", "published4"): "type inet_proto . inet_service : ipv4_addr . inet_service",
    ("inet", "published6"): "type inet_proto . inet_service : ipv6_addr . inet_service",
    ("inet", "published_at4"): "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
    ("inet", "published_at6"): "type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service",
}

_BRIDGE_CHAINS = f"""
    chain from_sandboxes {{
        type filter hook prerouting priority -310; policy accept;
        iifname "{LINK_PREFIX}*" goto guard
    }}
    chain guard {{
        iifname . ether saddr != @macs drop
        ether type arp goto guard_arp
        ether type ip goto guard_ip
        ether type ip6 goto guard_ip6
        drop
    }}
    chain guard_arp {{
        arp htype != 1 drop
        arp ptype != ip drop
        arp hlen != 6 drop
        arp plen != 4 drop
        iifname . arp saddr ether != @macs drop
        iifname . arp saddr ip @v4 accept
        drop
    }}
    chain guard_ip {{
        iifname . ip saddr @v4 accept
        drop
    }}
    chain guard_ip6 {{
        icmpv6 type {{ nd-router-advert, nd-redirect }} drop
        icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @neighbours drop
        iifname . ip6 saddr @v6 accept
        ip6 saddr :: icmpv6 type {{ nd-neighbor-solicit, mld-listener-report, mld2-listener-report }} accept
        drop
    }}
"""

_INET_CHAINS = f"""
    chain untranslated {{
        type filter hook prerouting priority raw; policy accept;
        iifname "{BRIDGE_PREFIX}*" ip daddr 127.0.0.0/8 drop
    }}
    chain to_published {{
        fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @published_at4
        fib daddr type local dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_at6
        fib daddr type local dnat ip to meta l4proto . th dport map @published4
        fib daddr type local ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @published6
    }}
    chain arriving {{
        type nat hook prerouting priority dstnat; policy accept;
        jump to_published
    }}
    chain of_machine {{
        type nat hook output priority -100; policy accept;
        jump to_published
    }}
    chain leaving {{
        type nat hook postrouting priority srcnat; policy accept;
        iifname "{BRIDGE_PREFIX}*" oifname != "{BRIDGE_PREFIX}*" masquerade
        ip saddr . ip daddr @selves4 masquerade
        ip6 saddr . ip6 daddr @selves6 masquerade
        ip saddr 127.0.0.0/8 oifname "{BRIDGE_PREFIX}*" masquerade
    }}
    chain forwarded {{
        type filter hook forward priority filter - 5; policy accept;
        iifname "{BRIDGE_PREFIX}*" jump from_network
        oifname "{BRIDGE_PREFIX}*" jump to_network
    }}
    chain from_network {{
        iifname . oifname @within return
        ct state established,related return
        oifname "{BRIDGE_PREFIX}*" return
        oifname @uplinks return
        meta oifkind {{ "bridge", "veth" }} drop
    }}
    chain to_network {{
        ct state established,related return
        ip daddr @closed4 ip daddr . meta l4proto . th dport != @open4 drop
        ip6 daddr @closed6 meta l4proto != icmpv6 ip6 daddr . meta l4proto . th dport != @open6 drop
        ip daddr @closed4 meta l4proto != {{ tcp, udp }} drop
        ip6 daddr @closed6 meta l4proto != {{ tcp, udp, icmpv6 }} drop
        ip6 daddr @closed6 icmpv6 type echo-request drop
        iifname . oifname @within return
        ct status dnat return
        drop
    }}
    chain to_machine {{
        type filter hook input priority filter - 5; policy accept;
        iifname "{BRIDGE_PREFIX}*" jump from_network_to_machine
    }}
"""

_MACHINE_CLOSED = """
    chain from_network_to_machine {
        ct state established,related return
        icmp type echo-request return
        icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } return
        drop
    }
"""

_MACHINE_OPEN = """
    chain from_network_to_machine {
        return
    }
"""


def elements_of(bound: Bound) -> Elements:
    """What the sets and maps hold for a sandbox."""
    found: dict[Place, set[str]] = {}
    for attachment in bound.sandbox.attachments:
        for place, texts in _of_attachment(link_name(bound.container_id, attachment.ifname), attachment):
            found.setdefault(place, set()).update(texts)
    return {place: frozenset(texts) for place, texts in found.items()}


def together(several: Iterable[Elements]) -> dict[Place, frozenset[str]]:
    """What the sets and maps hold for all of them."""
    found: dict[Place, set[str]] = {}
    for elements in several:
        for place, texts in elements.items():
            found.setdefault(place, set()).update(texts)
    return {place: frozenset(texts) for place, texts in found.items()}


def added(elements: Elements) -> str:
    """The commands that put them in; what is there already stays."""
    return _commands("add", elements)


def deleted(elements: Elements) -> str:
    """The commands that take them out; they fail when one is not there."""
    return _commands("delete", elements)


def whole(elements: Elements, *, host_access: bool) -> str:
    """The commands that put our tables, with exactly these elements, in place of whatever is there under their names."""
    machine = _MACHINE_OPEN if host_access else _MACHINE_CLOSED
    chains = {"bridge": _BRIDGE_CHAINS, "inet": _INET_CHAINS + machine}
    parts = []
    for family in FAMILIES:
        parts += [f"add table {family} {TABLE}", f"delete table {family} {TABLE}", f"table {family} {TABLE} {{"]
        parts += [_declared("set", place, kind, elements) for place, kind in SETS.items() if place[0] == family]
        parts += [_declared("map", place, kind, elements) for place, kind in MAPS.items() if place[0] == family]
        parts += [chains[family], "}"]
    return "\n".join(parts) + "\n"


def _declared(what: str, place: Place, kind: str, elements: Elements) -> str:
    held = elements.get(place)
    filled = f" elements = {{ {', '.join(sorted(held))} }};" if held else ""
    return f"    {what} {place[1]} {{ {kind};{filled} }}"


def _commands(verb: str, elements: Elements) -> str:
    lines = (
        f"{verb} element {family} {TABLE} {name} {{ {', '.join(sorted(texts))} }}\n"
        for (family, name), texts in sorted(elements.items())
        if texts
    )
    return "".join(lines)


def _of_attachment(link: str, attachment: Attachment) -> Iterable[tuple[Place, list[str]]]:
    bridge = bridge_name(attachment.network)
    v4 = [address.addr for address in attachment.addresses if address.version == 4]
    v6 = [address.addr for address in attachment.addresses if address.version == 6]
    yield ("bridge", "macs"), [f"{link} . {attachment.mac}"]
    yield ("bridge", "v4"), [f"{link} . {addr}" for addr in v4]
    own6 = [*v6, link_local_of(attachment.mac)] if v6 else []
    yield ("bridge", "v6"), [f"{link} . {addr}" for addr in own6]
    yield ("bridge", "neighbours"), [f"{link} . 0x{int(IPv6Address(addr)):032x}" for addr in own6]
    yield ("inet", "within"), [f"{bridge} . {bridge}"]
    for published in attachment.published:
        yield from _published(published, v4, v6)
    if attachment.exposed is not None:
        opened = {(port.protocol, port.port) for port in attachment.exposed}
        opened |= {(port.protocol, port.port) for port in attachment.published}
        for version, addresses in ((4, v4), (6, v6)):
            yield ("inet", f"closed{version}"), addresses
            yield (
                ("inet", f"open{version}"),
                [f"{addr} . {proto} . {port}" for addr in addresses for proto, port in opened],
            )


def _published(published: PublishedPort, v4: list[str], v6: list[str]) -> Iterable[tuple[Place, list[str]]]:
    key = f"{published.protocol} . {published.host_port}"
    for version, addresses in ((4, v4), (6, v6)):
        if not addresses:
            continue
        target = f"{addresses[0]} . {published.port}"
        yield ("inet", f"selves{version}"), [f"{addresses[0]} . {addresses[0]}"]
        if not published.host_address:
            yield ("inet", f"published{version}"), [f"{key} : {target}"]
        elif (":" in published.host_address) == (version == 6):
            yield ("inet", f"published_at{version}"), [f"{published.host_address} . {key} : {target}"]
