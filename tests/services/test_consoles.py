# SPDX-License-Identifier: Apache-2.0
"""Console grants: once, soon, for one process, and no secret in the store."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.live import MEMBER, LiveWorld, live_world
from zun.base.clock import ManualClock
from zun.drivers.runtime.types import ExecRequest
from zun.model.errors import Denied
from zun.services.consoles import ConsoleGrants
from zun.services.live_options import LiveOptions
from zun.services.nodelive_fake import FakeSession
from zun.store import keys
from zun.store.interface import Delete, KeyValue
from zun.store.memory import MemoryStore


@pytest.fixture
async def at() -> AsyncIterator[LiveWorld]:
    async with live_world() as made:
        yield made


async def opens(at: LiveWorld, token: str, uuid: str, exec_id: str = "") -> bool:
    try:
        async with at.live.console(token, container_uuid=uuid, exec_id=exec_id):
            return True
    except Denied:
        return False


async def test_a_token_opens_the_console_of_its_container_once(at: LiveWorld) -> None:
    entry = await at.running(interactive=True)
    token = await at.live.attach_token(MEMBER, entry)
    assert await opens(at, token, entry.uuid)
    assert not await opens(at, token, entry.uuid)
    assert at.node.open_sessions == 0


class Hesitant(MemoryStore):
    """A store that answers a read only when five have read, so that all have before the first writes."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self._all_have_read = asyncio.Barrier(5)

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        found = await super().get(key, revision=revision)
        await self._all_have_read.wait()
        return found


async def test_of_those_who_come_with_the_same_token_one_gets_in() -> None:
    store = Hesitant()
    grants = ConsoleGrants(store, ManualClock(), LiveOptions())
    token = await grants.grant(container_uuid="c", project_id="p1", node="n1")
    outcomes = await asyncio.gather(
        *(grants.redeem(token, container_uuid="c") for _ in range(5)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConsoleGrant"] + ["Denied"] * 4
    await store.close()


async def test_the_store_holds_neither_the_token_nor_the_grant_after_its_time(at: LiveWorld) -> None:
    entry = await at.running(interactive=True)
    token = await at.live.attach_token(MEMBER, entry)
    stored = await at.world.store.range(keys.CONSOLES)
    assert len(stored.items) == 1
    assert all(token not in item.key and token.encode() not in item.value for item in stored.items)
    at.clock.advance(61)
    assert not await opens(at, token, entry.uuid)


async def test_a_used_token_leaves_nothing_behind(at: LiveWorld) -> None:
    entry = await at.running(interactive=True)
    token = await at.live.attach_token(MEMBER, entry)
    await opens(at, token, entry.uuid)
    assert (await at.world.store.range(keys.CONSOLES)).items == ()


async def test_a_token_is_good_for_one_process_only(at: LiveWorld) -> None:
    async def quick(session: FakeSession, _: ExecRequest | None) -> int:
        return 0

    ours, other = await at.running(interactive=True), await at.running(interactive=True)
    at.node.programs["sh"] = quick
    assert not await opens(at, await at.live.attach_token(MEMBER, ours), other.uuid)
    prepared = await at.live.execute(MEMBER, ours, ExecRequest(["sh"]), run=False, interactive=True)
    assert prepared.token is not None
    assert prepared.exec_id is not None
    assert not await opens(at, prepared.token, ours.uuid)  # the grant names a command
    again = await at.live.execute(MEMBER, ours, ExecRequest(["sh"]), run=False, interactive=True)
    assert again.token is not None
    assert await opens(at, again.token, ours.uuid, again.exec_id or "")


@pytest.mark.parametrize("token", ["", "wrong", "\x00", "ü" * 100, "\ud800"])
async def test_a_made_up_token_opens_nothing(at: LiveWorld, token: str) -> None:
    entry = await at.running(interactive=True)
    assert not await opens(at, token, entry.uuid)


async def test_a_console_of_a_container_that_is_gone_or_moved_stays_shut(at: LiveWorld) -> None:
    entry = await at.running(interactive=True)
    token = await at.live.attach_token(MEMBER, entry)
    await at.world.write(Delete(keys.container(entry.uuid)))
    assert not await opens(at, token, entry.uuid)


async def test_a_console_talks_and_resizes(at: LiveWorld) -> None:
    entry = await at.running(interactive=True)
    token = await at.live.attach_token(MEMBER, entry)
    async with at.live.console(token, container_uuid=entry.uuid) as console:
        await console.resize(width=100, height=30)
        await console.session.write(b"hi")
        chunk = await console.session.read()
        assert chunk is not None
        assert chunk.data == b"hi"
        assert at.node.last_session is not None
        assert at.node.last_session.sizes == [(100, 30)]
