# SPDX-License-Identifier: Apache-2.0
"""The fake keeps the contract that real engines keep."""

from pathlib import Path

import pytest

from support.fake_runtime import FakeHarness
from zun.drivers.runtime.contract import RuntimeContract


class TestFakeRuntime(RuntimeContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> FakeHarness:
        return FakeHarness(tmp_path)
