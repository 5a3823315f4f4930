# SPDX-License-Identifier: Apache-2.0
"""What the tests of the stores share."""

import uuid

import pytest

from zun.base.clock import ManualClock

pytest.register_assert_rewrite(
    "zun.store.contract", "zun.store.contract_keys", "zun.store.contract_watches", "zun.store.contract_leases"
)


@pytest.fixture
def root() -> str:
    """A prefix no other test uses."""
    return f"/test/{uuid.uuid4()}/"


@pytest.fixture
def clock() -> ManualClock:
    """A clock the test moves."""
    return ManualClock()
