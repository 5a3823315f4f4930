# SPDX-License-Identifier: Apache-2.0
"""The fake keeps the contract that nodes keep."""

import pytest

from support.live_nodes import ScriptedNode
from zun.services.nodelive_contract import NodeLiveContract
from zun.services.nodelive_contract_ports import PortContract


class TestFakeNode(NodeLiveContract, PortContract):
    @pytest.fixture
    async def harness(self) -> ScriptedNode:
        return ScriptedNode()
