# SPDX-License-Identifier: Apache-2.0
"""A machine with a daemon for the tests of a file."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.network_machine import Machine, machine


def needs_root() -> None:
    """Skip where namespaces cannot be made."""
    if os.geteuid() != 0 or not shutil.which("nft", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs root and what scripts/ensure-network installs")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """For tests that leave it as it is: each with networks of its own."""
    needs_root()
    with machine(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Machine]:
    """For tests that hurt it."""
    needs_root()
    with machine(tmp_path) as made:
        yield made
