# SPDX-License-Identifier: Apache-2.0
"""Where a capsule is asked."""

from zun.agent.probing.subject import address_of
from zun.model.attachments import Attachment, InterfaceAddress
from zun.model.records import Address, Observation, SeenState


def seen(*addresses: str) -> Observation:
    told = [Address("bridge", one, 6 if ":" in one else 4) for one in addresses]
    return Observation("c", 1, SeenState.RUNNING, addresses=told)


def plugged(number: int, *addresses: str) -> Attachment:
    return Attachment(
        network=f"n{number}",
        ifname=f"eth{number}",
        mac="02:00:00:00:00:01",
        addresses=tuple(InterfaceAddress(one, 24) for one in addresses),
    )


def test_what_the_control_plane_gave_counts_before_what_an_engine_shows() -> None:
    assert address_of([plugged(0, "10.1.0.2"), plugged(1, "10.2.0.2")], seen("172.17.0.2")) == "10.1.0.2"
    assert address_of(None, seen("172.17.0.2")) == "172.17.0.2"


def test_ipv4_comes_first_and_ipv6_will_do() -> None:
    assert address_of(None, seen("fd00::2", "10.1.0.2")) == "10.1.0.2"
    assert address_of([plugged(0, "fd00::2")], seen()) == "fd00::2"


def test_who_is_on_no_network_has_none() -> None:
    assert address_of([], seen("172.17.0.2")) == ""
    assert address_of(None, seen()) == ""
