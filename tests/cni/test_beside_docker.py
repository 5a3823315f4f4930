# SPDX-License-Identifier: Apache-2.0
"""On a machine where Docker closed iptables' FORWARD, sandboxes are let through, and Docker's own chains are left as they are."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.network_machine import OUTSIDE, UPLINK, UPLINK6, Machine, echoing, machine, network_attachment, reach
from support.service import eventually
from zun.cni.firewall.iptables import missing_rules
from zun.model.attachments import PublishedPort

DOCKER = """-P FORWARD DROP
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN"""
OURS = ["-A DOCKER-USER -o zunb+ -j ACCEPT", "-A DOCKER-USER -i zunb+ -j ACCEPT"]


def test_docker_keeps_a_chain_for_others_and_that_is_used() -> None:
    assert missing_rules(DOCKER) == [
        ("DOCKER-USER", ["-i", "zunb+", "-j", "ACCEPT"]),
        ("DOCKER-USER", ["-o", "zunb+", "-j", "ACCEPT"]),
    ]
    assert missing_rules(DOCKER + "\n" + OURS[0]) == [("DOCKER-USER", ["-i", "zunb+", "-j", "ACCEPT"])]
    assert missing_rules("\n".join([DOCKER, *OURS])) == []


def test_a_closed_forward_without_docker_is_opened_for_sandboxes_and_an_open_one_left_alone() -> None:
    assert [chain for chain, _ in missing_rules("-P FORWARD DROP")] == ["FORWARD", "FORWARD"]
    assert missing_rules("-P FORWARD ACCEPT") == []


@pytest.fixture
def beside_docker(tmp_path: Path, needs_root: None) -> Iterator[Machine]:
    """A machine with what Docker puts into iptables at its start."""
    if not shutil.which("iptables", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs iptables")
    with machine(tmp_path, "sync_seconds = 1") as made:
        for program in ("iptables", "ip6tables"):
            for rule in (
                ("-P", "FORWARD", "DROP"),
                ("-N", "DOCKER-USER"),
                ("-A", "DOCKER-USER", "-j", "RETURN"),
                ("-I", "FORWARD", "-j", "DOCKER-USER"),
            ):
                made.host.run(program, *rule)
        yield made


@pytest.mark.network
def test_sandboxes_reach_what_they_may_though_docker_drops_what_is_forwarded(beside_docker: Machine) -> None:
    made = beside_docker
    eventually(lambda: made.host.run("iptables", "-S").count("zunb+") == 2, "the rules are there")
    eventually(lambda: made.host.run("ip6tables", "-S").count("zunb+") == 2, "the rules are there")
    one = made.plugged(network_attachment(1, 1, published=(PublishedPort(8080, 80),)))
    other, stranger = made.plugged(network_attachment(1, 2)), made.plugged(network_attachment(2, 1))
    with echoing(one.namespace.socket(socket.SOCK_STREAM, "0.0.0.0", 80)):
        assert reach(other.namespace, "10.1.0.2", 80) is not None
        assert reach(made.outside, UPLINK, 8080) is not None
        assert reach(one.namespace, UPLINK, 8080) is not None
        assert reach(stranger.namespace, "10.1.0.2", 80, 0.5) is None
    with echoing(one.namespace.socket(socket.SOCK_STREAM, "::", 80)):
        assert reach(other.namespace, "fd00:1::2", 80) is not None
        assert reach(made.outside, UPLINK6, 8080) is not None
    with echoing(made.outside.socket(socket.SOCK_STREAM, "0.0.0.0", 80)):
        assert reach(one.namespace, OUTSIDE, 80) is not None
    listed = made.host.run("iptables", "-S").splitlines()
    assert [line for line in listed if "zunb" not in line and line not in DOCKER.splitlines()] == [
        "-P INPUT ACCEPT",
        "-P OUTPUT ACCEPT",
    ]
