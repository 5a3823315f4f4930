# SPDX-License-Identifier: Apache-2.0
"""Published ports: how they are written, and what people are told of them."""

from typing import Any

import pytest

from support.records import T0, spec
from zun.model import publishing
from zun.model.attachments import PublishedPort
from zun.model.option_texts import published_ports
from zun.model.port_ranges import PortRanges, parse_ports
from zun.model.records import Place


def shown(wished: list[PublishedPort], place: Place | None) -> list[tuple[Any, ...]]:
    told = publishing.shown(spec(published_ports=wished), place)
    return [(one["host_address"], one["host_port"], one["port"], one["protocol"]) for one in told]


def test_what_is_shown_is_the_wish_until_it_has_a_place() -> None:
    wished = [PublishedPort(8080, 80), PublishedPort(0, 53, "udp")]
    assert shown(wished, None) == [(None, 8080, 80, "tcp"), (None, None, 53, "udp")]
    assert shown(wished, Place("u", "", 0, T0)) == shown(wished, None)
    decided = [PublishedPort(8080, 80), PublishedPort(20001, 53, "udp", "192.0.2.7")]
    place = Place("u", "n1", 1, T0, published=decided)
    assert shown(wished, place) == [("0.0.0.0", 8080, 80, "tcp"), ("192.0.2.7", 20001, 53, "udp")]
    homeless = Place("u", "", 1, T0, published=decided)
    assert shown(wished, homeless) == [(None, 8080, 80, "tcp"), (None, 20001, 53, "udp")]


def test_a_container_of_a_capsule_shows_its_own_ports_only() -> None:
    place = Place("u", "n1", 1, T0, published=[PublishedPort(8080, 80), PublishedPort(8081, 81)])
    assert shown([PublishedPort(8081, 81)], place) == [("0.0.0.0", 8081, 81, "tcp")]
    assert shown([], place) == []


def test_ports_of_the_container_are_those_it_exposes_and_publishes() -> None:
    published = [PublishedPort(8080, 80), PublishedPort(8081, 81)]
    assert publishing.exposed(["80/tcp"], published) == ["80/tcp", "81/tcp"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("80", {"port": 80}),
        ("8080:80", {"port": 80, "host_port": 8080}),
        (":80", {"port": 80}),
        ("5353:53/udp", {"port": 53, "host_port": 5353, "protocol": "udp"}),
    ],
)
def test_ports_are_written_as_dockers_users_do(written: str, expected: dict[str, Any]) -> None:
    assert published_ports([written]) == [expected]


@pytest.mark.parametrize("written", ["", "web", "127.0.0.1:8080:80", "8080:", "80/", "1-2:1-2"])
def test_anything_else_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(ValueError, match="8080:80"):
        published_ports([written])


def test_ranges_of_ports_are_read_and_gone_round() -> None:
    ports = parse_ports("20-22, 30", "some_ports")
    assert (len(ports), str(ports)) == (4, "20-22, 30")
    assert [port in ports for port in (19, 20, 22, 23, 30)] == [False, True, True, False, True]
    assert list(ports.going_round(2)) == [22, 30, 20, 21]
    assert list(ports.going_round(4 * 10**30 + 3)) == [30, 20, 21, 22]
    assert parse_ports("", "some_ports") == PortRanges()
    assert list(PortRanges().going_round(7)) == []


@pytest.mark.parametrize("written", ["0", "65536", "30-20", "a", "1-2-3", "-5"])
def test_what_are_no_ports_is_refused_naming_the_option(written: str) -> None:
    with pytest.raises(ValueError, match="some_ports"):
        parse_ports(written, "some_ports")
