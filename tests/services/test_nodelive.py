# SPDX-License-Identifier: Apache-2.0
"""The fake keeps the contract that nodes keep."""

import pytest

from support.live_nodes import ScriptedNode
from zun.services.nodelive_contract import NodeLiveContract


class TestFakeNode(NodeLiveContract):
    @pytest.fixture
    async def harness(self) -> ScriptedNode:
        return ScriptedNode()
