# SPDX-License-Identifier: Apache-2.0
"""Subnets are read strictly, and what containers get lies inside and is nobody else's."""

import ipaddress

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from zun.model.errors import Invalid
from zun.model.networks import AddressRange, NetworkRecord, check_fixed, check_record, default_network, subnet_of
from zun.model.parts import NetRequest


def a_network(name: str = "lab", *cidrs: str, **fields: object) -> NetworkRecord:
    given: dict[str, object] = {"project_id": "p1", "user_id": "u", "created_at": 1.0}
    subnets = tuple(subnet_of(cidr) for cidr in cidrs or ("10.1.0.0/24",))
    return NetworkRecord(uuid=f"id-{name}", name=name, subnets=subnets, **(given | fields))


def test_the_gateway_is_the_first_address_and_the_rest_is_given_out() -> None:
    subnet = subnet_of("10.1.0.0/24")
    assert subnet.gateway == "10.1.0.1"
    assert subnet.ranges == (AddressRange("10.1.0.2", "10.1.0.254"),)
    assert subnet_of("fd00:1::/64").gateway == "fd00:1::1"
    assert subnet_of("10.1.0.0/24", "").gateway == ""


@settings(deadline=None)
@given(prefix=st.integers(16, 30), place=st.integers(0, 2**32 - 1), gateway=st.integers(1, 2**16))
def test_no_range_holds_the_gateway_or_the_subnets_own_addresses(prefix: int, place: int, gateway: int) -> None:
    network = ipaddress.ip_network((place, prefix), strict=False)
    if network.is_multicast or network.is_loopback or network.is_link_local:
        return
    way_out = network[1 + gateway % (network.num_addresses - 2)]
    subnet = subnet_of(str(network), str(way_out))
    given_out = [(ipaddress.ip_address(one.start), ipaddress.ip_address(one.end)) for one in subnet.ranges]
    count = sum(int(end) - int(start) + 1 for start, end in given_out)
    assert count == network.num_addresses - 3
    for start, end in given_out:
        assert network[0] < start <= end < network[-1]  # type: ignore[operator]
        assert not start <= way_out <= end  # type: ignore[operator]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("10.1.0.1/24",), "no subnet"),
        (("word",), "no subnet"),
        (("10.0.0.0/8",), "too large"),
        (("10.0.0.0/31",), "too small"),
        (("127.0.0.0/24",), "special"),
        (("10.1.0.0/24", "10.2.0.1"), "no address for a host"),
        (("10.1.0.0/24", "10.1.0.255"), "no address for a host"),
        (("10.1.0.0/24", None, [AddressRange("10.1.0.9", "10.1.0.5")]), "ends before"),
        (("10.1.0.0/24", None, [AddressRange("10.1.0.9", "10.2.0.5")]), "no address for a host"),
    ],
)
def test_what_is_no_subnet_is_refused(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        subnet_of(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (a_network("x", "10.1.0.128/25"), "shares addresses"),
        (a_network("x", "10.2.0.0/24", "10.3.0.0/24"), "at most one"),
        (a_network("x", "10.2.0.0/24", mtu=100), "MTU"),
        (a_network("x", "fd00:2::/64", mtu=1000), "MTU"),
    ],
)
def test_networks_that_cannot_be_beside_the_others_are_refused(record: NetworkRecord, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        check_record(record, [a_network()])


@pytest.mark.parametrize(
    "net",
    [
        NetRequest("lab", v4_fixed_ip="10.2.0.5"),
        NetRequest("lab", v4_fixed_ip="10.1.0.1"),
        NetRequest("lab", v4_fixed_ip="10.1.0.255"),
        NetRequest("lab", v6_fixed_ip="fd00::5"),
    ],
)
def test_an_address_that_no_container_can_have_is_refused(net: NetRequest) -> None:
    with pytest.raises(Invalid):
        check_fixed(net, a_network())
    check_fixed(NetRequest("lab", v4_fixed_ip="10.1.0.2"), a_network())


def test_the_default_is_the_projects_oldest_then_the_oldest_shared_one() -> None:
    shared = a_network("shared", shared=True, project_id="p2", created_at=1.0)
    older, newer = a_network("older", created_at=2.0), a_network("newer", created_at=3.0)
    closing = a_network("closing", created_at=1.5, closing=True)
    assert default_network([newer, shared, closing, older], "p1") is older
    assert default_network([newer, shared, older], "p3") is shared
    assert default_network([newer, older], "p3") is None
