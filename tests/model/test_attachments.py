# SPDX-License-Identifier: Apache-2.0
"""What can be bound as it stands, and what is refused with its name."""

from typing import Any

import pytest

from zun.model.attachments import (
    Attachment,
    Dns,
    InterfaceAddress,
    Port,
    PublishedPort,
    Route,
    SandboxNetwork,
    check_sandbox,
)
from zun.model.errors import Invalid

ADDRESS = InterfaceAddress("10.0.0.5", 24, "10.0.0.1")
ADDRESS6 = InterfaceAddress("fd00::5", 64, "fd00::1")


def sandbox(**fields: Any) -> SandboxNetwork:
    """A sandbox with one interface, a good one but for `fields`."""
    told: dict[str, Any] = {
        "network": "n",
        "ifname": "eth0",
        "mac": "02:00:00:00:00:05",
        "addresses": (ADDRESS, ADDRESS6),
    }
    return SandboxNetwork("k.1", (Attachment(**told | fields),))


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"addresses": (InterfaceAddress("10.0.0.5", 32),)},
        {"mtu": 9000},
        {"routes": (Route("192.0.2.0/24", "10.0.0.9"), Route("fd01::/64"))},
        {"published": (PublishedPort(80, 8080), PublishedPort(53, 53, "udp", "192.0.2.1"))},
        {"exposed": ()},
    ],
)
def test_what_makes_sense_can_be_bound(good: dict[str, Any]) -> None:
    check_sandbox(sandbox(**good))


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"ifname": "a" * 16}, "aaaaaaaaaaaaaaaa"),
        ({"ifname": "lo"}, "'lo'"),
        ({"ifname": "../eth0"}, "../eth0"),
        ({"ifname": "eth0 up"}, "eth0 up"),
        ({"network": ""}, "eth0"),
        ({"mac": "02:00:00:00:00"}, "02:00:00:00:00"),
        ({"mac": "03:00:00:00:00:05"}, "03:00:00:00:00:05"),
        ({"mac": "02:00:00:00:00:05 . x"}, "02:00:00:00:00:05 . x"),
        ({"addresses": ()}, "no address"),
        ({"addresses": (InterfaceAddress("10.0.0.5; flush ruleset", 24),)}, "flush ruleset"),
        ({"addresses": (InterfaceAddress("10.0.0.5", 33),)}, "33"),
        ({"addresses": (InterfaceAddress("10.0.0.5", 24, "10.0.1.1"),)}, "10.0.1.1"),
        ({"addresses": (InterfaceAddress("10.0.0.5", 24, "10.0.0.5"),)}, "10.0.0.5"),
        ({"addresses": (InterfaceAddress("127.0.0.1", 8),)}, "127.0.0.1"),
        ({"addresses": (InterfaceAddress("fe80::5", 64),)}, "fe80::5"),
        ({"addresses": (InterfaceAddress("FD00::5", 64),)}, "FD00::5"),
        ({"mtu": 1000}, "1000"),
        ({"routes": (Route("192.0.2.1/24"),)}, "192.0.2.1/24"),
        ({"routes": (Route("192.0.2.0/24", "fd00::1"),)}, "fd00::1"),
        ({"published": (PublishedPort(0, 80),)}, "0"),
        ({"published": (PublishedPort(80, 65536),)}, "65536"),
        ({"addresses": (ADDRESS,), "published": (PublishedPort(80, 80, host_address="::1"),)}, "::1"),
        ({"exposed": (Port(70000),)}, "70000"),
    ],
)
def test_what_makes_none_is_refused_by_name(bad: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid, match=named.replace(".", r"\.")):
        check_sandbox(sandbox(**bad))


def test_an_interface_and_a_network_are_there_once() -> None:
    (one,) = sandbox().attachments
    with pytest.raises(Invalid, match="interface twice"):
        check_sandbox(SandboxNetwork("k.1", (one, one)))


@pytest.mark.parametrize("key", ["", ".", "../x", "a/b", "a\0b", "x" * 200])
def test_a_key_is_also_a_name_of_a_file(key: str) -> None:
    with pytest.raises(Invalid, match="key"):
        check_sandbox(SandboxNetwork(key))


def test_a_dns_server_is_an_address() -> None:
    with pytest.raises(Invalid, match="no IP address"):
        check_sandbox(SandboxNetwork("k.1", (), Dns(("dns.example",))))
