# SPDX-License-Identifier: Apache-2.0
"""Whether something listens at a port, as the kernel tells it."""

import socket
from pathlib import Path

import pytest

from zun.base.listening import is_listening

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


def bound(kind: int, address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.bind((address, 0))
    if kind == TCP:
        made.listen()
    return made


@pytest.mark.parametrize(("kind", "protocol", "other"), [(TCP, "tcp", "udp"), (UDP, "udp", "tcp")])
def test_who_listens_is_found_at_his_address_and_protocol_until_he_ends(kind: int, protocol: str, other: str) -> None:
    with bound(kind, "127.0.0.1") as made:
        port = made.getsockname()[1]
        assert is_listening(protocol, port)
        assert is_listening(protocol, port, "127.0.0.1")
        assert not is_listening(protocol, port, "127.0.0.2")
        assert not is_listening(protocol, port, "::1")
        assert not is_listening(other, port, "127.0.0.1")
    assert not is_listening(protocol, port)


def test_who_listens_at_every_address_is_found_at_each() -> None:
    with bound(TCP, "127.0.0.1") as free:
        port = free.getsockname()[1]
    with socket.create_server(("0.0.0.0", port)):
        assert is_listening("tcp", port, "192.0.2.7")
        assert is_listening("tcp", port, "2001:db8::1")


def test_who_only_connects_from_a_port_does_not_listen_there() -> None:
    with bound(TCP, "127.0.0.1") as server, socket.create_connection(server.getsockname()) as client:
        assert not is_listening("tcp", client.getsockname()[1], "127.0.0.1")


def test_addresses_of_both_versions_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    """Of a little-endian machine, which is what is tested on."""
    head = "  sl  local_address rem_address   st\n"
    (tmp_path / "tcp").write_text(head + "   0: 0100007F:1F90 00000000:0000 0A 0\n")
    (tmp_path / "tcp6").write_text(
        head
        + "   0: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0\n"
        + "   1: 0000000000000000FFFF00000200007F:1F92 00000000000000000000000000000000:0000 0A 0\n"
    )
    assert is_listening("tcp", 8080, "127.0.0.1", net=tmp_path)
    assert is_listening("tcp", 8081, "::1", net=tmp_path)
    assert is_listening("tcp", 8082, "127.0.0.2", net=tmp_path)
    assert not is_listening("udp", 8080, net=tmp_path)
