# SPDX-License-Identifier: Apache-2.0
"""A whole cluster for the tests of a file, apart from one that may be up already, and taken away afterwards."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import Cluster

CLUSTERS = Path(__file__).resolve().parents[2] / ".cache" / "clusters"
"""`scripts/test` takes down what is left here by a run that was ended from outside."""


@contextmanager
def temporary(name: str, **options: Any) -> Iterator[Cluster]:
    """A cluster of that name that is not up yet, and is gone after the block."""
    if os.geteuid() != 0 or not shutil.which("haproxy", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs root and what scripts/ensure-cluster installs")
    made = Cluster(CLUSTERS / f"{name}-{os.getpid()}", prefix=f"zun-{name}-{os.getpid()}", **options)
    try:
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Machines with everything on them, at rest."""
    with temporary("test") as made:
        made.up()
        yield made
