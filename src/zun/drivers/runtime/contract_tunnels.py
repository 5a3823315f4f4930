# SPDX-License-Identifier: Apache-2.0
"""The contract's part about connections to ports inside containers."""

# ruff: noqa: S101
import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from zun.base.ids import new_uuid
from zun.drivers.runtime.base import PORT_REFUSED, Tunnel
from zun.drivers.runtime.contract_harness import RuntimeHarness, make, needs, run
from zun.drivers.runtime.contract_pods import sandbox
from zun.drivers.runtime.types import Capability
from zun.model.errors import Conflict, NotFound, Unavailable

PORT = 7
MIB = 1 << 20
ECHO = ["nc", "-ll", "-p", str(PORT), "-e", "cat"]
"""Says back what it is told on each connection, until the end of what it is told."""

COUNT = ["nc", "-ll", "-p", str(PORT), "-e", "wc", "-c"]
"""Says at the end how much it was told."""


async def all_of(tunnel: Tunnel) -> bytes:
    """What the container's side still says."""
    said = b""
    while (data := await tunnel.read()) is not None:
        said += data
    return said


async def listens(harness: RuntimeHarness, handle: str) -> None:
    """Wait until somebody takes connections."""

    async def takes() -> bool:
        try:
            async with harness.runtime.streams.port_forward(handle, PORT):
                return True
        except Conflict as error:
            if error.code != PORT_REFUSED:
                raise
            return False

    await harness.until(takes)


class TunnelContract:
    """Ports that nobody published."""

    async def test_what_is_sent_through_comes_back_whole_and_each_way_ends_by_itself(
        self, harness: RuntimeHarness
    ) -> None:
        await needs(harness, Capability.PORT_FORWARD)
        handle = await run(harness, ECHO)
        await listens(harness, handle)
        sent = bytes(range(256)) * (MIB // 256)
        async with harness.runtime.streams.port_forward(handle, PORT) as tunnel:

            async def feed() -> None:
                for start in range(0, MIB, 65536):
                    await tunnel.write(sent[start : start + 65536])
                await tunnel.end()
                await tunnel.end()

            feeding = asyncio.create_task(feed())
            assert await all_of(tunnel) == sent
            await feeding
            assert await tunnel.read() is None
            with pytest.raises(Conflict):
                await tunnel.write(b"late")

    async def test_the_other_side_hears_the_end_and_answers_after_it(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.PORT_FORWARD)
        handle = await run(harness, COUNT)
        await listens(harness, handle)
        async with harness.runtime.streams.port_forward(handle, PORT) as tunnel:
            await tunnel.write(b"x" * 1000)
            await tunnel.end()
            assert (await all_of(tunnel)).strip() == b"1000"

    async def test_many_connections_stand_side_by_side(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.PORT_FORWARD)
        handle = await run(harness, ECHO)
        await listens(harness, handle)

        async with AsyncExitStack() as stack:
            tunnels = []
            for _ in range(20):  # one after the other: this server lets few wait to be taken
                tunnel = await stack.enter_async_context(harness.runtime.streams.port_forward(handle, PORT))
                await tunnel.write(b"hello")
                assert await tunnel.read() == b"hello"
                tunnels.append(tunnel)

            async def talk(tunnel: Tunnel, word: bytes) -> bytes:
                await tunnel.write(word)
                await tunnel.end()
                return await all_of(tunnel)

            words = [b"word %d" % number for number in range(len(tunnels))]
            assert await asyncio.gather(*map(talk, tunnels, words)) == words

    async def test_a_port_that_nobody_listens_on_is_refused(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.PORT_FORWARD)
        handle = await run(harness, ECHO)
        await listens(harness, handle)
        with pytest.raises(Conflict, match="port 8") as refused:
            async with harness.runtime.streams.port_forward(handle, 8):
                raise AssertionError("it opened")
        assert refused.value.code == PORT_REFUSED

    async def test_nobody_connects_to_what_does_not_run_or_is_not_there(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.PORT_FORWARD)
        with pytest.raises(Conflict):
            async with harness.runtime.streams.port_forward(await make(harness, ECHO), PORT):
                raise AssertionError("it opened")
        with pytest.raises(NotFound):
            async with harness.runtime.streams.port_forward("0123456789abcdef" * 4, PORT):
                raise AssertionError("it opened")

    async def test_a_container_that_vanishes_ends_its_connections(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.PORT_FORWARD)
        handle = await run(harness, ECHO)
        await listens(harness, handle)
        async with harness.runtime.streams.port_forward(handle, PORT) as tunnel:
            await tunnel.write(b"hello")
            assert await tunnel.read() == b"hello"
            await harness.during(harness.runtime.containers.remove(handle))
            with suppress(Unavailable):  # it may be broken off rather than end
                assert await harness.during(all_of(tunnel)) == b""

    async def test_containers_of_one_capsule_are_reached_through_each_other(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.PORT_FORWARD)
        await needs(harness, Capability.CAPSULES)
        capsule = new_uuid()
        joined: dict[str, Any] = {"sandbox": await sandbox(harness, capsule), "capsule": capsule}
        await run(harness, ECHO, **joined)
        other = await run(harness, **joined)
        await listens(harness, other)
        async with harness.runtime.streams.port_forward(other, PORT) as tunnel:
            await tunnel.write(b"hello")
            assert await tunnel.read() == b"hello"
