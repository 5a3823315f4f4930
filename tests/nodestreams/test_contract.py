# SPDX-License-Identifier: Apache-2.0
"""A node on another machine is the same node: every implementation keeps one contract, with and without a connection in between."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.certificates import TestAuthority
from support.live_nodes import AgentNode, ScriptedNode
from support.stream_pair import pair
from zun.services.nodelive_contract import NodeLiveContract
from zun.services.nodelive_contract_ports import PortContract


class TestAgent(NodeLiveContract, PortContract):
    @pytest.fixture
    async def harness(self) -> AgentNode:
        return await AgentNode().open()


class TestAgentFarAway(NodeLiveContract, PortContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[AgentNode]:
        node = await AgentNode().open()
        async with pair(node.live) as made:
            node.live = made.far
            yield node


class TestAgentFarAwayOverTls(NodeLiveContract, PortContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[AgentNode]:
        node = await AgentNode().open()
        authority = TestAuthority(tmp_path)
        async with pair(node.live, authority.node("n1"), authority.control()) as made:
            node.live = made.far
            yield node


class TestFakeNodeFarAway(NodeLiveContract, PortContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[ScriptedNode]:
        node = ScriptedNode()
        async with pair(node.live) as made:
            node.live = made.far
            yield node
