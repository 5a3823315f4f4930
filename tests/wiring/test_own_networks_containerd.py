# SPDX-License-Identifier: Apache-2.0
"""The whole service with networks of its own on containerd, which runs the plugin: as people meet them, also across crashes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.containerd_engine import Containerd, containerd
from support.network_machine import Namespace
from support.own_networks import IMAGE, House, OnContainerd
from support.own_networks_stories import CapsuleStories, ContainerStories, DaemonStories
from support.service import eventually

pytestmark = [pytest.mark.containerd, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def namespace(needs_root: None) -> Iterator[Namespace]:
    made = Namespace("own")
    yield made
    made.close()


@pytest.fixture(scope="module")
def containers(namespace: Namespace) -> Iterator[Containerd]:
    with containerd(namespace) as running:
        yield running


@pytest.fixture
def house(containers: Containerd, namespace: Namespace, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, OnContainerd(containers, namespace))
    made.start()
    yield made
    made.close()


@pytest.fixture
def apart(containers: Containerd, namespace: Namespace, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, OnContainerd(containers, namespace), separate=True)
    made.start()
    yield made
    made.close()


class TestContainersOnContainerd(ContainerStories):
    """The engine runs the plugin."""

    def test_an_engine_that_has_another_plugin_plug_in_is_given_nothing(
        self, house: House, containers: Containerd
    ) -> None:
        house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24")
        (ours,) = containers.conf_dir.iterdir()
        written = ours.read_text()
        try:
            ours.write_text(written.replace('"zun-cni"', '"loopback"'))
            eventually(lambda: "loopback" in _refusal(house), "the engine has taken it up, and nothing is made")
        finally:
            ours.write_text(written)
        eventually(lambda: house.tried("run", "--rm", IMAGE, "true").returncode == 0, "it is as before")
        for one in house.zunctl("ps", "-a", "-q").split():
            house.zunctl("rm", "-f", one)
        eventually(lambda: house.left() == [], "nothing is left")


class TestCapsulesOnContainerd(CapsuleStories):
    """Their sandboxes are pods."""


class TestTheDaemonBesideContainerd(DaemonStories):
    """The engine asks it."""


def _refusal(house: House) -> str:
    return house.tried("run", IMAGE, "true").stderr
