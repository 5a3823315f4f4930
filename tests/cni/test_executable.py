# SPDX-License-Identifier: Apache-2.0
"""zun-cni as an engine runs it: versions, errors with the specification's codes, and daemons that are away, slow or false."""

import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.network_machine import Machine, machine, network_attachment

pytestmark = pytest.mark.network

UNKNOWN_CONTAINER, BAD_ENVIRONMENT, BAD_CONTENT, BAD_CONFIG, TRY_AGAIN = 3, 4, 6, 7, 11
INCOMPATIBLE_VERSION, UNTRUSTED, CONFLICT, DAMAGED = 1, 101, 102, 103


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory, needs_root: None) -> Iterator[Machine]:
    """A machine whose daemon is stopped and frozen, one test after the other, and runs again after each."""
    with machine(tmp_path_factory.mktemp("machine"), "bind_seconds = 5", patience=0.3) as made:
        yield made


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_an_add_is_answered_in_the_version_that_was_asked_in(shared: Machine, version: str) -> None:
    sandbox = shared.sandbox(network_attachment(1, 1), network_attachment(2, 1, ifname="eth1", v6=False))
    done = sandbox.ask("ADD", cniVersion=version)
    assert done.code == 0, done.told
    told = done.told
    assert told["cniVersion"] == version
    assert [one["name"] for one in told["interfaces"] if "sandbox" in one] == ["eth0", "eth1"]
    assert [one["sandbox"] for one in told["interfaces"][:2]] == [sandbox.namespace.path] * 2
    assert [(one["address"], one["gateway"], one["interface"]) for one in told["ips"]] == [
        ("10.1.0.2/24", "10.1.0.1", 0),
        ("fd00:1::2/64", "fd00:1::1", 0),
        ("10.2.0.2/24", "10.2.0.1", 1),
    ]
    assert [one.get("version") for one in told["ips"]] == ([None] * 3 if version == "1.0.0" else ["4", "6", "4"])
    assert {(one["dst"], one["gw"]) for one in told["routes"]} == {("0.0.0.0/0", "10.1.0.1"), ("::/0", "fd00:1::1")}
    assert told["dns"] == {"nameservers": ["192.0.2.53"], "search": ["example.org"], "options": []}
    sandbox.delete()


def test_an_engine_is_told_the_first_interfaces_addresses_also_when_that_has_another_name(shared: Machine) -> None:
    """CRI engines ask for eth0, and make no sandbox for which they are told none of its addresses."""
    sandbox = shared.sandbox(
        network_attachment(9, 1, ifname="eth1"), network_attachment(10, 1, ifname="eth2", v6=False)
    )
    told = sandbox.add()
    assert [(one["address"], one.get("interface")) for one in told["ips"]] == [
        ("10.9.0.2/24", None),
        ("fd00:9::2/64", None),
        ("10.10.0.2/24", 1),
    ]
    assert set(sandbox.namespace.addresses()) == {"eth1", "eth2"}
    assert sandbox.ask("CHECK", prevResult=told).code == 0
    sandbox.delete()


def test_an_engine_is_told_of_loopback_where_there_is_no_interface_at_all(shared: Machine) -> None:
    sandbox = shared.sandbox()
    told = sandbox.add()
    assert [(one["address"], one.get("interface")) for one in told["ips"]] == [("127.0.0.1/8", None)]
    assert sandbox.namespace.addresses() == {}
    assert sandbox.ask("CHECK", prevResult=told).code == 0
    sandbox.delete()


def test_it_tells_its_versions_without_a_daemon(hurt: Machine) -> None:
    sandbox = hurt.sandbox(network_attachment(1, 1))
    hurt.kill()
    done = sandbox.ask("VERSION", cniVersion="0.4.0")
    hurt.start()
    assert (done.code, done.told) == (0, {"cniVersion": "0.4.0", "supportedVersions": ["0.3.1", "0.4.0", "1.0.0"]})


@pytest.mark.parametrize(
    ("command", "fields", "code", "named"),
    [
        ("ADD", {"cniVersion": "0.2.0"}, INCOMPATIBLE_VERSION, "cniVersion"),
        ("ADD", {"cniVersion": "1.1.0"}, INCOMPATIBLE_VERSION, "1.1.0"),
        ("ADD", {"cniVersion": 1}, BAD_CONTENT, "standard input"),
        ("CHECK", {"cniVersion": "0.3.1"}, BAD_ENVIRONMENT, "CHECK"),
        ("CHECK", {}, BAD_CONFIG, "prevResult"),
        ("ADD", {"prevResult": {"ips": []}}, BAD_CONFIG, "first in a list"),
        ("GC", {}, BAD_ENVIRONMENT, "GC"),
        ("ADD", {"CNI_CONTAINERID": ""}, BAD_ENVIRONMENT, "CNI_CONTAINERID"),
        ("ADD", {"CNI_CONTAINERID": "../x"}, BAD_ENVIRONMENT, "CNI_CONTAINERID"),
        ("ADD", {"CNI_IFNAME": ""}, BAD_ENVIRONMENT, "CNI_IFNAME"),
        ("ADD", {"CNI_NETNS": ""}, BAD_ENVIRONMENT, "CNI_NETNS"),
        ("ADD", {"CNI_ARGS": "IgnoreUnknown=1"}, BAD_ENVIRONMENT, "CNI_ARGS"),
        ("ADD", {"CNI_ARGS": "K8S_POD_UID=../../x"}, BAD_ENVIRONMENT, "CNI_ARGS"),
        ("ADD", {"CNI_ARGS": "K8S_POD_UID=unknown.1"}, UNKNOWN_CONTAINER, "unknown.1"),
        ("ADD", {"CNI_IFNAME": "net1"}, BAD_CONFIG, "net1"),
        ("ADD", {"CNI_NETNS": "/run/netns/gone"}, UNKNOWN_CONTAINER, "/run/netns/gone"),
        ("ADD", {"CNI_NETNS": "/etc/hostname"}, UNKNOWN_CONTAINER, "/etc/hostname"),
        ("ADD", {"CNI_NETNS": "/proc/self/ns/net"}, BAD_CONFIG, "the network namespace of a sandbox"),
        ("CHECK", {"prevResult": {}}, UNKNOWN_CONTAINER, "not bound"),
    ],
)
def test_what_is_wrong_is_named_with_the_code_that_the_specification_has(
    shared: Machine, command: str, fields: dict[str, object], code: int, named: str
) -> None:
    sandbox = shared.sandbox(network_attachment(3, 1))
    done = sandbox.ask(command, **fields)
    assert (done.code, done.told["code"]) == (1, code), done.told
    assert named in done.told["msg"]
    assert done.told["cniVersion"] in {"1.0.0", fields.get("cniVersion")}
    assert sandbox.namespace.addresses() == {}


def test_the_host_itself_is_never_taken_for_a_sandbox(shared: Machine) -> None:
    sandbox = shared.sandbox(network_attachment(4, 1))
    done = sandbox.ask("ADD", CNI_NETNS=shared.host.path)
    assert (done.code, done.told["code"]) == (1, BAD_CONFIG)


def test_a_del_of_the_unknown_succeeds(shared: Machine) -> None:
    sandbox = shared.sandbox(network_attachment(5, 1))
    for fields in ({}, {"CNI_NETNS": ""}, {"CNI_ARGS": ""}, {"CNI_NETNS": "/run/netns/gone"}):
        assert sandbox.ask("DEL", **fields).code == 0


def test_check_says_what_is_wrong(shared: Machine) -> None:
    sandbox = shared.sandbox(network_attachment(6, 1))
    told = sandbox.add()
    assert sandbox.ask("CHECK", prevResult=told).code == 0
    sandbox.namespace.ip("addr", "del", "10.6.0.2/24", "dev", "eth0")
    done = sandbox.ask("CHECK", prevResult=told)
    assert (done.code, done.told["code"]) == (1, DAMAGED)
    assert "10.6.0.2" in done.told["msg"]
    sandbox.namespace.ip("link", "set", "eth0", "down")
    assert "eth0 is down" in sandbox.ask("CHECK", prevResult=told).told["msg"]
    sandbox.namespace.ip("link", "del", "eth0")
    assert "eth0 is gone" in sandbox.ask("CHECK", prevResult=told).told["msg"]
    sandbox.delete()


def test_check_notices_that_the_engine_remembers_something_else(shared: Machine) -> None:
    sandbox = shared.sandbox(network_attachment(7, 1))
    told = sandbox.add()
    told["ips"][0]["address"] = "10.7.0.99/24"
    assert "10.7.0.99" in sandbox.ask("CHECK", prevResult=told).told["msg"]
    sandbox.delete()


def test_two_sandboxes_cannot_have_the_same_address_or_port(shared: Machine) -> None:
    first = shared.plugged(network_attachment(8, 1))
    done = shared.sandbox(network_attachment(8, 1)).ask("ADD")
    assert (done.code, done.told["code"]) == (1, CONFLICT)
    assert "10.8.0.2" in done.told["msg"]
    first.delete()


def test_a_daemon_that_is_away_means_try_again(hurt: Machine) -> None:
    sandbox = hurt.plugged(network_attachment(1, 1))
    hurt.kill()
    for command in ("ADD", "DEL"):
        done = sandbox.ask(command)
        assert (done.code, done.told["code"]) == (1, TRY_AGAIN)
        assert done.seconds < 10
    (hurt.state / "cni" / "endpoint").unlink()
    assert sandbox.ask("DEL").told["code"] == TRY_AGAIN
    hurt.start()
    sandbox.delete()


def test_a_daemon_that_comes_back_is_waited_for(tmp_path: Path, needs_root: None) -> None:
    with machine(tmp_path, patience=30) as made:
        sandbox = made.sandbox(network_attachment(1, 1))
        made.kill()
        starting = threading.Timer(0.3, made.start)
        starting.start()
        done = sandbox.ask("ADD")
        starting.join()
        assert done.code == 0, done.told


def test_a_daemon_that_does_not_answer_is_given_up(hurt: Machine) -> None:
    plugin = hurt.directory / "bin" / "zun-cni"
    plugin.write_text(plugin.read_text().replace("ANSWER_SECONDS = 60.0", "ANSWER_SECONDS = 0.5"))
    sandbox = hurt.sandbox(network_attachment(2, 1))
    hurt.signal(signal.SIGSTOP)
    done = sandbox.ask("ADD")
    hurt.signal(signal.SIGCONT)
    assert (done.code, done.told["code"]) == (1, TRY_AGAIN)
    assert done.seconds < 10
    hurt.kill(signal.SIGTERM)
    hurt.start()


def test_who_took_the_port_of_a_daemon_that_is_away_is_not_believed_and_learns_no_key(hurt: Machine) -> None:
    sandbox = hurt.sandbox(network_attachment(3, 1))
    host, port, key = (hurt.state / "cni" / "endpoint").read_text().split()
    hurt.kill()
    heard: list[bytes] = []
    lie = b'{"cniVersion":"1.0.0","ips":[{"address":"10.3.0.66/24"}]}'
    with hurt.host.socket(socket.SOCK_STREAM, host, int(port)) as false:
        false.listen(1)

        def answer() -> None:
            connection, _ = false.accept()
            with connection:
                heard.append(connection.recv(65536))
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nZun-Seal: %b\r\n\r\n" % (len(lie), b"0" * 64)
                connection.sendall(head + lie)

        answering = threading.Thread(target=answer)
        answering.start()
        done = sandbox.ask("ADD")
        answering.join()
    hurt.start()
    assert (done.code, done.told["code"]) == (1, UNTRUSTED)
    assert key.encode() not in heard[0]
    assert bytes.fromhex(key) not in heard[0]


def test_another_user_of_the_machine_cannot_use_it(shared: Machine) -> None:
    sandbox = shared.sandbox(network_attachment(9, 1))
    sandbox.add()
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    with tempfile.TemporaryDirectory() as public:
        Path(public).chmod(0o755)
        copy = shutil.copy(shared.directory / "bin" / "zun-cni", public)
        refused = shared.plugin("DEL", sandbox, prefix=nobody, program=copy)
    assert (refused.code, refused.told["code"]) == (1, UNTRUSTED)
    assert sandbox.namespace.addresses()["eth0"]
    _, port, _ = (shared.state / "cni" / "endpoint").read_text().split()
    for seal in ("", "0" * 64):
        body = (
            f"CNI_COMMAND=DEL\0CNI_CONTAINERID={sandbox.container_id}\0CNI_IFNAME=eth0\0\0" + '{"cniVersion":"1.0.0"}'
        )
        head = f"POST /cni HTTP/1.1\r\nContent-Length: {len(body)}\r\nZun-Nonce: 00\r\nZun-Seal: {seal}\r\n\r\n"
        assert _said_to(shared, int(port), head + body).startswith(b"HTTP/1.1 401 ")
    assert sandbox.namespace.addresses()["eth0"]
    sandbox.delete()


@pytest.mark.parametrize(
    "request_text",
    ["GET / HTTP/1.1\r\n\r\n", "POST /cni HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", "\r\n\r\n", "x" * 20000],
)
def test_nonsense_is_refused(shared: Machine, request_text: str) -> None:
    _, port, _ = (shared.state / "cni" / "endpoint").read_text().split()
    assert _said_to(shared, int(port), request_text).startswith(b"HTTP/1.1 400 ")


def test_its_secrets_are_private(shared: Machine) -> None:
    shared.plugged(network_attachment(10, 1)).delete()
    private = [shared.state / "cni" / "endpoint", *(shared.state / "cni" / "attachments").iterdir()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)


def test_it_is_run_by_an_interpreter_and_not_by_an_environment(shared: Machine) -> None:
    first = (shared.directory / "bin" / "zun-cni").read_text().splitlines()[0]
    interpreter, _, options = first.removeprefix("#!").partition(" ")
    assert os.path.isabs(interpreter)  # noqa: PTH117 - as the kernel reads it
    assert ".venv" not in interpreter
    assert options == "-ISs"


def _said_to(machine: Machine, port: int, text: str) -> bytes:
    with machine.host.socket(socket.SOCK_STREAM, "127.0.0.1") as made:
        made.connect(("127.0.0.1", port))
        made.sendall(text.encode())
        made.shutdown(socket.SHUT_WR)
        return made.recv(65536)
