# SPDX-License-Identifier: Apache-2.0
"""What the identity tests share."""

import pytest

from zun.base.clock import ManualClock

pytest.register_assert_rewrite("zun.drivers.identity.contract")


@pytest.fixture
def clock() -> ManualClock:
    """A clock the test moves."""
    return ManualClock()
