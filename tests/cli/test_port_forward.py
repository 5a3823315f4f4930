# SPDX-License-Identifier: Apache-2.0
"""`zunctl port-forward` as a process: ports of this machine that lead into a container."""

import re
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from support.zunctl import PATIENCE_SECONDS, Service, refusal, run_here, wait_for

MIB = 1 << 20
EVERYTHING = bytes(range(256)) * (MIB // 256)
SERVER = ("nc", "-ll", "-p", "7", "-e", "cat")
CAPSULE = "{kind: capsule, metadata: {name: %s}, spec: {containers: [{image: '%s', command: %s}]}}"


class Forwarding:
    """zunctl while it forwards."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def port(self) -> int:
        """The next local port that it tells of."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"Forwarding (127\.0\.0\.1|\[::1\]):(\d+) -> \d+\n", line)
        assert found, line
        return int(found[2])

    def interrupt(self) -> tuple[int, bytes]:
        """Press Ctrl-C: its exit code, and what it said on standard error."""
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, err

    def complaint(self) -> str:
        """The next line on standard error."""
        assert self.process.stderr is not None
        assert select.select([self.process.stderr], [], [], PATIENCE_SECONDS)[0]
        return self.process.stderr.readline().decode()


@contextmanager
def forwarding(service: Service, *arguments: str) -> Iterator[Forwarding]:
    with service.started("port-forward", *arguments) as process:
        yield Forwarding(process)


@contextmanager
def listening(service: Service, name: str) -> Iterator[str]:
    """A container that says back what it is told on port 7."""
    made = service.run("run", "-d", "--name", name, service.image, *SERVER)
    assert made.code == 0, made.err
    try:
        yield name
    finally:
        service.run("rm", "-f", name)


@pytest.fixture
def box(service: Service, request: pytest.FixtureRequest) -> Iterator[str]:
    with listening(service, f"listening-{abs(hash(request.node.name)) % 10**9}") as name:
        yield name


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)


def talk(port: int, said: bytes) -> bytes:
    """Say something, then the end, and hear all that comes back."""
    with connected(port) as connection, connection.makefile("rb") as hearing:

        def say() -> None:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)

        saying = threading.Thread(target=say)
        saying.start()
        heard = hearing.read()
        saying.join(PATIENCE_SECONDS)
        return heard


def test_bytes_go_through_whole_and_the_end_of_each_way_too(service: Service, box: str) -> None:
    with forwarding(service, box, ":7") as forward:
        port = forward.port()
        assert talk(port, EVERYTHING) == EVERYTHING
        assert talk(port, b"") == b""
        assert forward.interrupt() == (0, b"")


def test_many_connections_and_several_ports_at_once(service: Service, box: str) -> None:
    with forwarding(service, box, ":7", "0:7") as forward:
        ports = [forward.port(), forward.port()]
        with ExitStack() as stack:
            connections = [stack.enter_context(connected(ports[number % 2])) for number in range(20)]
            for number, connection in enumerate(connections):
                connection.sendall(b"%02d" % number)
            assert [connection.recv(2) for connection in connections] == [b"%02d" % number for number in range(20)]
            assert forward.interrupt() == (0, b"")
            assert [connection.recv(2) for connection in connections] == [b""] * 20


def test_a_port_that_nobody_listens_on_is_told_and_harms_no_other(service: Service, box: str) -> None:
    with forwarding(service, box, ":8", ":7") as forward:
        refused, listened = forward.port(), forward.port()
        with connected(refused) as connection, pytest.raises(ConnectionResetError):
            assert connection.recv(1) == b"nothing"
        assert re.match(r"zunctl: port 8: Nothing takes connections to port 8", forward.complaint())
        assert talk(listened, b"still there") == b"still there"


def test_a_container_that_is_removed_ends_its_connections(service: Service, box: str) -> None:
    with forwarding(service, box, ":7") as forward:
        port = forward.port()
        with connected(port) as connection:
            connection.sendall(b"hello")
            assert connection.recv(5) == b"hello"
            assert service.run("rm", "-f", box).code == 0
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        wait_for(lambda: box not in service.run("ps", "-aq").out)
        with suppress(ConnectionResetError), connected(port) as connection:  # connecting itself may hear of it
            assert connection.recv(1) == b""
        assert "could not be found" in forward.complaint()


def test_a_capsule_is_reached(service: Service) -> None:
    template = CAPSULE % ("reached", service.image, list(SERVER))
    made = service.run("capsule", "create", "--wait", "-f", "-", stdin=template)
    assert made.code == 0, made.err
    try:
        with forwarding(service, "--capsule", "reached", ":7", "--address", "::1") as forward:
            with socket.create_connection(("::1", forward.port()), PATIENCE_SECONDS) as connection:
                connection.sendall(b"hello")
                assert connection.recv(5) == b"hello"
            assert forward.interrupt() == (0, b"")
    finally:
        service.run("capsule", "delete", "--wait", "reached")


def test_what_cannot_work_is_said_at_once(service: Service, box: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = service.run("port-forward", box, f"{port}:7")
        assert done.code == 1
        assert f"Cannot listen on 127.0.0.1 port {port}" in done.err
    stopped = service.run("create", "--name", "not-started", service.image, *SERVER)
    assert stopped.code == 0
    done = service.run("port-forward", "not-started", ":7")
    assert (done.code, "Created state" in done.err) == (1, True), done.err
    service.run("rm", "-f", "not-started")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["no-such-thing", "80"], 4, "There is none"),
        (["--capsule", "no-such-thing", "80"], 4, "There is none"),
        (["box"], 2, "at least one port"),
        (["box", "http"], 2, "'http' is no"),
        (["box", "80:0"], 2, "'80:0' is no"),
        (["box", "70000"], 2, "'70000' is no"),
        (["box", "70000:80"], 2, "'70000:80' is no"),
    ],
)
def test_a_wrong_call_is_told_before_anything_listens(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert run_here(lambda _: refusal(404, "There is none."), "port-forward", *arguments) == code
    assert said in capsys.readouterr().err


@pytest.mark.docker
def test_real_containers_are_reached_though_nothing_is_published(docker_service: Service) -> None:
    with listening(docker_service, "forward-docker") as name, forwarding(docker_service, name, ":7") as forward:
        port = forward.port()
        assert talk(port, EVERYTHING) == EVERYTHING
        with connected(port) as connection:
            connection.sendall(b"hello")
            assert connection.recv(5) == b"hello"
            assert docker_service.run("rm", "-f", name).code == 0
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        assert forward.interrupt()[0] == 0
