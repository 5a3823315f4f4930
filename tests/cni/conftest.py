# SPDX-License-Identifier: Apache-2.0
"""A machine with a daemon for the tests of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.network_machine import Machine, machine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, needs_root: None) -> Iterator[Machine]:
    """For tests that leave it as it is: each with networks of its own."""
    with machine(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path, needs_root: None) -> Iterator[Machine]:
    """For tests that hurt it."""
    with machine(tmp_path) as made:
        yield made
