# SPDX-License-Identifier: Apache-2.0
"""Live things go to the right container, and prepared commands open nobody else's."""

import asyncio

import pytest
from agent_records import C1, inbox, intent, run_intents, uuid_of
from agent_world import World

from support.virtual_time import LoopClock
from zun.agent.live import AgentLive
from zun.agent.sessions import ExecSessions
from zun.drivers.runtime.types import ExecRequest, LogQuery
from zun.model.errors import Conflict, NotFound
from zun.model.records import SeenState, Verb


async def live(world: World) -> AgentLive:
    agent = await world.start()
    for uuid in (C1, uuid_of(2)):
        await world.wish(inbox(uuid, *run_intents()))
        await world.until(SeenState.RUNNING, uuid=uuid)
    return agent.live


async def test_a_command_runs_in_its_container(world: World) -> None:
    agent = await live(world)
    exec_id = await agent.exec_create(C1, ExecRequest(["echo", "hello"]))
    async with agent.exec_start(C1, exec_id) as session:
        chunk = await session.read()
        assert chunk is not None
        assert chunk.data == b"hello\n"
        while await session.read() is not None:
            continue
        assert await session.exit_code() == 0


async def test_a_prepared_command_of_another_container_is_not_found(world: World) -> None:
    agent = await live(world)
    exec_id = await agent.exec_create(C1, ExecRequest(["echo", "hello"]))
    with pytest.raises(NotFound):
        await agent.exec_resize(uuid_of(2), exec_id, width=1, height=1)
    with pytest.raises(NotFound):
        async with agent.exec_start(uuid_of(2), exec_id):
            raise AssertionError("it opened")


async def test_what_is_not_here_is_said_so(world: World) -> None:
    agent = await live(world)
    with pytest.raises(NotFound):
        await agent.top(uuid_of(3), None)
    await world.ask(intent(3, Verb.DELETE, force=True))
    await world.done("req-3")
    with pytest.raises(Conflict):
        async with agent.logs(C1, LogQuery()):
            raise AssertionError("it opened")


async def test_whoever_prepares_many_commands_pushes_out_only_their_own() -> None:
    sessions = ExecSessions(LoopClock(), limit=10, idle_seconds=60)
    sessions.add(C1, "mine")
    for number in range(100):
        sessions.add(uuid_of(2), f"theirs-{number}")
    sessions.check(C1, "mine")
    sessions.check(uuid_of(2), "theirs-99")
    with pytest.raises(NotFound):
        sessions.check(uuid_of(2), "theirs-0")


async def test_prepared_commands_are_bounded_and_forgotten() -> None:
    sessions = ExecSessions(LoopClock(), limit=2, idle_seconds=60)
    for name in ("a", "b"):
        sessions.add(C1, name)
    sessions.check(C1, "a")
    sessions.add(C1, "c")
    with pytest.raises(NotFound):
        sessions.check(C1, "b")
    await asyncio.sleep(40)
    sessions.check(C1, "a")
    await asyncio.sleep(40)
    sessions.check(C1, "a")
    with pytest.raises(NotFound):
        sessions.check(C1, "c")
