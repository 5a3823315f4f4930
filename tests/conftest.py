# SPDX-License-Identifier: Apache-2.0
"""Makes `tests/` importable, so that areas can share the machinery in `tests/support/`."""

import asyncio
import os
import shutil

import pytest

# Else pytest-asyncio asks for "the" event loop before it makes its own, which makes one that nobody closes: a warning, an error here.
asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def needs_root() -> None:
    """Namespaces and the packet filter can be had."""
    if os.geteuid() != 0 or not shutil.which("nft", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs root and what scripts/ensure-network installs")
