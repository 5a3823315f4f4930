# SPDX-License-Identifier: Apache-2.0
"""What was bound stays bound, whatever happens to the daemon; what was not finished, or has ended, leaves nothing."""

import json
import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from support.network_machine import ZUND, Machine, Sandbox, echoing, machine, network_attachment, reach
from support.service import eventually
from zun.cni.names import bridge_name, link_name
from zun.model.attachments import Port, PublishedPort, SandboxNetwork

pytestmark = pytest.mark.network

AT_ONCE = 8


@pytest.fixture
def quick(tmp_path: Path, needs_root: None) -> Iterator[Machine]:
    """A machine whose daemon looks after everything each second."""
    with machine(tmp_path, "sync_seconds = 1", patience=20) as made:
        yield made


def two_talk(one: Sandbox, other: Sandbox, address: str) -> bool:
    """Whether one reaches the other at its address."""
    with echoing(other.namespace.socket(socket.SOCK_STREAM, "::" if ":" in address else "0.0.0.0", 80)):
        return reach(one.namespace, address, 80) is not None


def test_an_add_that_is_repeated_changes_nothing_and_answers_the_same(own: Machine) -> None:
    sandbox = own.sandbox(network_attachment(1, 1))
    told, before = sandbox.add(), sandbox.namespace.ip("link")
    assert sandbox.add() == told
    assert sandbox.namespace.ip("link") == before


def test_sandboxes_run_on_while_the_daemon_is_away_and_are_known_after_it(own: Machine) -> None:
    one, other = own.plugged(network_attachment(1, 1)), own.plugged(network_attachment(1, 2))
    own.kill()
    assert two_talk(one, other, "10.1.0.3")
    before = one.namespace.ip("link")
    own.start()
    assert two_talk(one, other, "fd00:1::3")
    assert one.namespace.ip("link") == before
    one.delete()
    other.delete()
    assert own.left() == []


def test_who_ended_while_the_daemon_was_away_leaves_nothing(own: Machine) -> None:
    one = own.plugged(network_attachment(1, 1, published=(PublishedPort(80, 80),)))
    own.kill()
    one.namespace.close()
    own.start()
    assert own.left() == []
    assert one.ask("DEL").code == 0


def test_what_somebody_removed_is_put_back(quick: Machine) -> None:
    one, other = quick.plugged(network_attachment(1, 1)), quick.plugged(network_attachment(1, 2))
    link = link_name(one.container_id, "eth0")
    for harm in (
        ("ip", "link", "del", link),
        ("ip", "link", "set", link, "nomaster"),
        ("ip", "link", "del", bridge_name("net1")),
        ("sh", "-c", f"ip link del {link}; ip link del {bridge_name('net1')}"),
        ("ip", "addr", "flush", "dev", bridge_name("net1")),
    ):
        quick.host.run(*harm)
        eventually(
            lambda: two_talk(one, other, "10.1.0.3") and two_talk(one, other, "fd00:1::3"), f"healed after {harm}"
        )
        eventually(lambda: one.namespace.ip("route", "get", "192.0.2.1"), "the way out is back")


def test_a_bridge_that_somebody_removed_is_there_for_the_next_sandbox(own: Machine) -> None:
    own.plugged(network_attachment(1, 1))
    own.host.run("ip", "link", "del", bridge_name("net1"))
    assert two_talk(own.plugged(network_attachment(1, 2)), own.plugged(network_attachment(1, 3)), "10.1.0.4")


def test_a_packet_filter_that_somebody_emptied_or_changed_is_put_back(quick: Machine) -> None:
    one, stranger = quick.plugged(network_attachment(1, 1)), quick.plugged(network_attachment(2, 1))
    whole = quick.host.run("nft", "list", "ruleset")
    for harm in (
        "flush ruleset",
        "delete table bridge zun",
        "flush chain inet zun forwarded",
        f'delete element bridge zun v4 {{ "{link_name(one.container_id, "eth0")}" . 10.1.0.2 }}',
        "add element inet zun published4 { tcp . 22 : 10.1.0.2 . 22 }",
    ):
        quick.host.run("nft", harm)
        eventually(lambda: quick.host.run("nft", "list", "ruleset") == whole, f"put back after {harm}")
    with echoing(stranger.namespace.socket(socket.SOCK_STREAM, "0.0.0.0", 80)):
        assert reach(one.namespace, "10.2.0.2", 80, 0.5) is None


def test_a_packet_filter_that_is_as_it_should_be_is_not_written_again_at_each_look(quick: Machine) -> None:
    sandbox = quick.plugged(network_attachment(1, 1, exposed=(Port(80),), published=(PublishedPort(80, 80),)))
    for number in range(2):  # the filter is looked at after the links
        (link,) = (one["ifname"] for one in quick.host.ip("link") if one["ifname"].startswith("zunv"))
        quick.host.ip("link", "del", link)
        eventually(lambda number=number: quick.said().count("had lost eth0") > number, "the next look")  # type: ignore[misc]
    assert "they are put back" not in quick.said()
    sandbox.delete()


def test_an_untouched_packet_filter_is_left_alone(quick: Machine) -> None:
    quick.plugged(
        network_attachment(1, 1, published=(PublishedPort(80, 80), PublishedPort(53, 53, "udp", "127.0.0.1")))
    )
    with (quick.directory / "monitor").open("wb") as heard:
        monitor = subprocess.Popen(quick.host.command("nft", "monitor"), stdout=heard)
        other = quick.plugged(network_attachment(1, 2))
        quick.host.run("nft", "add table inet somebody")
        eventually(lambda: b"somebody" in (quick.directory / "monitor").read_bytes(), "the monitor hears")
        eventually(lambda: quick.host.run("nft", "list", "tables").count("zun") == 2, "tables are there")
        said = quick.said()
        other.delete()
        monitor.terminate()
        monitor.wait(timeout=60)
    assert "they are put back" not in said
    assert b"delete table" not in (quick.directory / "monitor").read_bytes()
    assert "table inet somebody" in quick.host.run("nft", "list", "tables")


def test_a_later_sandbox_of_the_same_container_takes_over(own: Machine) -> None:
    first = own.plugged(network_attachment(1, 1))
    later = own.sandbox(network_attachment(1, 1), key=first.key)
    later.add()
    assert first.namespace.addresses() == {}
    first.delete()  # comes late, and is about what is not there any more
    neighbour = own.plugged(network_attachment(1, 2))
    assert two_talk(neighbour, later, "10.1.0.2")


def test_an_add_that_fails_leaves_nothing(own: Machine) -> None:
    sandbox = own.sandbox(network_attachment(1, 1), network_attachment(2, 1, ifname="eth1"))
    sandbox.namespace.ip("link", "add", "eth1", "type", "bridge")
    done = sandbox.ask("ADD")
    assert done.code == 1
    assert "eth1" in done.told["msg"]
    assert list(sandbox.namespace.addresses()) == ["eth1"]
    assert own.left() == []
    sandbox.namespace.ip("link", "del", "eth1")
    sandbox.add()


def test_what_a_killed_daemon_had_half_made_is_undone_at_its_next_start(own: Machine) -> None:
    sandbox = own.plugged(network_attachment(1, 1))
    own.kill()
    (file,) = (own.state / "cni" / "bound").iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"phase": "binding"}))
    own.start()
    assert own.left() == []
    assert sandbox.namespace.addresses() == {}
    sandbox.add()


def test_a_journal_of_another_boot_or_a_damaged_one_is_as_if_it_were_not_there(own: Machine) -> None:
    one, other = own.plugged(network_attachment(1, 1)), own.plugged(network_attachment(1, 2))
    own.kill()
    files = sorted((own.state / "cni" / "bound").iterdir())
    files[0].write_text(json.dumps(json.loads(files[0].read_text()) | {"boot_id": "before"}))
    files[1].write_text("{")
    own.start()
    assert own.left() == []
    one.add()
    other.add()
    assert two_talk(one, other, "10.1.0.3")


def test_a_second_daemon_is_refused(own: Machine) -> None:
    command = own.host.command(ZUND, "cni-daemon", "--state-dir", str(own.directory / "other"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Another network daemon" in done.stderr.splitlines()[-1]


def test_bridges_go_when_nobody_has_been_on_them_for_a_while(quick: Machine) -> None:
    one = quick.plugged(network_attachment(1, 1))
    one.delete()
    eventually(lambda: "zunb" not in quick.host.run("ip", "link"), "the bridge is gone")
    one.add()


def test_a_daemon_that_is_stopped_answers_what_it_is_at(own: Machine) -> None:
    sandbox = own.sandbox(network_attachment(1, 1))
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(sandbox.ask, "ADD")
        eventually(lambda: list((own.state / "cni" / "bound").iterdir()), "the ADD is at work")
        own.kill(signal.SIGTERM)
        assert asked.result().code == 0
    own.start()
    assert sandbox.namespace.addresses()["eth0"]


def test_a_hundred_sandboxes_eight_at_a_time_leave_nothing(own: Machine) -> None:
    def life(number: int) -> None:
        sandbox = own.plugged(
            network_attachment(1 + number % 3, number + 1), network_attachment(9, number + 1, ifname="eth1")
        )
        assert sandbox.namespace.addresses()["eth1"]
        sandbox.delete()
        sandbox.namespace.close()
        own.spool.remove(sandbox.key)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(life, range(100)))
    assert own.left() == []
    assert list((own.state / "cni" / "attachments").iterdir()) == []


def test_a_daemon_that_is_killed_again_and_again_in_the_middle_loses_and_doubles_nothing(quick: Machine) -> None:
    choice = random.Random(7)
    sandboxes = [quick.sandbox(network_attachment(1, number)) for number in range(1, 25)]

    def insist(sandbox: Sandbox, command: str) -> None:
        eventually(lambda: sandbox.ask(command).code == 0, f"{command} of {sandbox.key}", seconds=60)

    for command, left in (("ADD", 24), ("DEL", 0)):
        with ThreadPoolExecutor(AT_ONCE) as threads:
            asked = [threads.submit(insist, sandbox, command) for sandbox in sandboxes]
            for _ in range(3):
                _some_more_done(asked, choice.randrange(3))
                quick.kill()
                quick.start()
            for one in asked:
                one.result()
        links = [link["ifname"] for link in quick.host.ip("link") if link["ifname"].startswith("zunv")]
        assert len(links) == left
        assert sum(bool(sandbox.namespace.addresses()) for sandbox in sandboxes) == left
    assert quick.left() == []


def test_attachments_change_while_a_sandbox_runs_and_survive_a_crash_meanwhile(quick: Machine) -> None:
    sandbox = quick.plugged(network_attachment(1, 1))
    both = (network_attachment(1, 1), network_attachment(2, 1, ifname="eth1"))
    quick.kill()
    quick.spool.write(SandboxNetwork(sandbox.key, both))
    quick.start()
    eventually(lambda: set(sandbox.namespace.addresses()) == {"eth0", "eth1"}, "the second interface")


def _some_more_done(asked: list[Future[None]], more: int) -> None:
    enough = min(len(asked), sum(one.done() for one in asked) + 1 + more)
    eventually(lambda: sum(one.done() for one in asked) >= enough, "some are done")
