# SPDX-License-Identifier: Apache-2.0
"""The part of the contract of `NodeLive` about connections to ports; derive a test class from `PortContract` too."""
# ruff: noqa: S101

import asyncio

import pytest

from zun.base.ids import new_uuid
from zun.drivers.runtime.base import PORT_REFUSED
from zun.model.errors import Conflict, NotFound
from zun.services.nodelive_contract import NodeHarness, soon


class PortContract:
    """Connections to ports."""

    async def test_a_connection_carries_bytes_both_ways_and_each_way_ends_by_itself(self, harness: NodeHarness) -> None:
        sent = bytes(range(256)) * 4096
        async with harness.live.port_forward(harness.listener, harness.listening) as tunnel:

            async def feed() -> None:
                for start in range(0, len(sent), 100_000):
                    await tunnel.write(sent[start : start + 100_000])
                await tunnel.end()
                await tunnel.end()

            feeding, heard = asyncio.create_task(feed()), bytearray()
            while (data := await tunnel.read()) is not None:
                heard += data
            await feeding
            assert heard == sent
            assert await tunnel.read() is None
            with pytest.raises(Conflict):
                await tunnel.write(b"late")
        await soon(harness)

    async def test_who_leaves_a_connection_ends_it(self, harness: NodeHarness) -> None:
        async with harness.live.port_forward(harness.listener, harness.listening) as tunnel:
            await tunnel.write(b"hello")
            assert await tunnel.read() == b"hello"
        await soon(harness)

    async def test_a_port_that_nobody_listens_on_is_refused_before_anything_comes(self, harness: NodeHarness) -> None:
        with pytest.raises(Conflict, match=str(harness.listening + 1)) as refused:
            async with harness.live.port_forward(harness.listener, harness.listening + 1):
                raise AssertionError("it opened")
        assert refused.value.code == PORT_REFUSED

    async def test_nobody_connects_to_what_has_ended_or_is_not_there(self, harness: NodeHarness) -> None:
        with pytest.raises(Conflict):
            async with harness.live.port_forward(harness.stopped, harness.listening):
                raise AssertionError("it opened")
        with pytest.raises(NotFound):
            async with harness.live.port_forward(new_uuid(), harness.listening):
                raise AssertionError("it opened")
