# SPDX-License-Identifier: Apache-2.0
"""`zunctl node` as a process against a real service with one made-up node."""

import json
from collections.abc import Iterator

import pytest

from support.zunctl import Service


@pytest.fixture
def node(service: Service) -> Iterator[str]:
    """The service's only node, as it was afterwards."""
    (found,) = json.loads(service.run("node", "list", "-o", "json").out)["nodes"]
    yield found["name"]
    service.run("node", "undrain", found["name"])
    service.run("node", "enable", found["name"])
    service.run("node", "force-down", "--undo", found["name"])


def test_nodes_are_listed_with_their_state(service: Service, node: str) -> None:
    listed = service.run("node", "list")
    assert listed.code == 0
    heading, row = listed.out.splitlines()
    assert heading.split()[:4] == ["NODE", "STATE", "NEW", "CONTAINERS"]
    assert row.split()[:3] == [node, "up", "yes"]


def test_draining_names_what_stays_and_why(service: Service, node: str) -> None:
    assert service.run("run", "-d", "--name", "fixed", service.image, "sleep", "1000").code == 0
    try:
        drained = service.run("node", "drain", "--wait", node)
        assert drained.code == 0
        assert drained.out.startswith(f"{node}: drained, ")
        assert "fixed (" in drained.err
        assert "stays: auto_heal is off" in drained.err
        assert service.run("node", "list").out.splitlines()[1].split()[:4] == [node, "draining", "no:", "drained"]
        shown = service.run("node", "show", node)
        assert "stays" in next(line for line in shown.out.splitlines() if line.startswith("fixed "))
        assert service.run("node", "undrain", node).out == f"{node}\n"
        assert service.run("node", "list").out.splitlines()[1].split()[:3] == [node, "up", "yes"]
    finally:
        service.run("rm", "-f", "fixed")


def test_a_wait_that_is_limited_tells_what_could_not_leave(service: Service, node: str) -> None:
    made = service.run("run", "-d", "--name", "heals", "--auto-heal", service.image, "sleep", "1000")
    assert made.code == 0, made.err
    try:
        drained = service.run("node", "drain", "--wait", "--timeout", "3", node)
        assert drained.code == 1
        assert f"Node {node} is not empty after 3 seconds: 1 are to leave" in drained.err
    finally:
        service.run("rm", "-f", "heals")


def test_nodes_are_switched(service: Service, node: str) -> None:
    assert service.run("node", "disable", node, "--reason", "new disk").out == f"{node}\n"
    assert "no: new disk" in service.run("node", "list").out
    assert service.run("node", "enable", node).out == f"{node}\n"
    assert service.run("node", "force-down", node).out == f"{node}\n"
    assert service.run("node", "list").out.splitlines()[1].split()[:3] == [node, "forced", "down"]
    assert service.run("node", "force-down", "--undo", node).out == f"{node}\n"


def test_a_node_with_containers_is_not_removed_and_an_unknown_one_is_not_found(service: Service, node: str) -> None:
    assert service.run("run", "-d", "--name", "stands", service.image, "sleep", "1000").code == 0
    try:
        refused = service.run("node", "remove", node)
        assert refused.code == 1
        assert "There are still containers" in refused.err
    finally:
        service.run("rm", "-f", "stands")
    assert service.run("node", "show", "nobody").code == 4
