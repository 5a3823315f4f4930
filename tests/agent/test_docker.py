# SPDX-License-Identifier: Apache-2.0
"""The agent on a real Docker engine: the few things that a made-up one cannot vouch for."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from agent_records import inbox, intent, run_intents
from agent_world import World

from zun.agent.identity import load_identity
from zun.base.clock import SystemClock
from zun.base.ids import new_uuid
from zun.drivers.runtime.base import Runtime
from zun.model.container import Mount, RestartPolicy
from zun.model.records import ImageSource, Inbox, SeenState, Verb
from zun.store.memory import MemoryStore

pytestmark = pytest.mark.docker

SOURCE = ImageSource(reference="zun.local/busybox:latest", pull_policy="never")


def wanted(uuid: str, **spec: object) -> Inbox:
    return inbox(uuid, *run_intents(), source=SOURCE, **spec)


@pytest.fixture
async def docker(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose engine is the machine's own; its containers are removed afterwards."""
    from zun.drivers.runtime.docker.options import DockerOptions
    from zun.drivers.runtime.docker.runtime import DockerRuntime

    async with AsyncExitStack() as stack:
        world = World(tmp_path, stack)
        world.clock = SystemClock()
        world.store = MemoryStore(world.clock)
        runtime: Runtime = await DockerRuntime.open(
            DockerOptions(), owner=load_identity(tmp_path).owner, clock=world.clock
        )
        stack.push_async_callback(runtime.close)
        world.runtime = runtime  # type: ignore[assignment]
        yield world
        await world.stop()
        for seen in await runtime.containers.list():
            await runtime.containers.remove(seen.handle)


async def test_a_container_lives_and_dies_on_docker(docker: World) -> None:
    await docker.start()
    uuid = new_uuid()
    await docker.hand_blob(0, b"from outside\n", uuid=uuid)
    entry = wanted(uuid, mounts=[Mount("/etc/told", file=0)], command=["sh", "-c", "cat /etc/told; exec sleep 1000"])
    entry.files = 1
    await docker.wish(entry)
    seen = await docker.until(SeenState.RUNNING, uuid=uuid, seconds=20)
    assert seen.addresses
    assert seen.started_at is not None
    await docker.ask(intent(3, Verb.PAUSE), intent(4, Verb.UNPAUSE), intent(5, Verb.KILL), uuid=uuid)
    ended = await docker.until(SeenState.EXITED, uuid=uuid, seconds=20, intent_done=5)
    assert ended.exit_code == 137
    await docker.ask(intent(6, Verb.REBUILD, run=True), uuid=uuid)
    await docker.until(SeenState.RUNNING, uuid=uuid, seconds=20, intent_done=6)
    await docker.ask(intent(7, Verb.DELETE, force=True), uuid=uuid)
    assert (await docker.done("req-7", uuid, seconds=20)).message is None
    assert await docker.runtime.containers.list() == []


async def test_an_end_is_seen_at_once_and_the_policy_starts_it_again(docker: World) -> None:
    await docker.start()
    uuid, other = new_uuid(), new_uuid()
    await docker.wish(wanted(uuid, command=["sh", "-c", "sleep 0.2; exit 3"]))
    await docker.wish(wanted(other, command=["false"], restart_policy=RestartPolicy("on-failure", 2)))
    assert (await docker.until(SeenState.EXITED, uuid=uuid, seconds=20)).exit_code == 3
    await docker.until(SeenState.EXITED, uuid=other, seconds=20, restarts=2, exit_code=1)


async def test_containers_on_docker_outlive_the_agent(docker: World) -> None:
    await docker.start()
    uuid, healed = new_uuid(), new_uuid()
    await docker.wish(wanted(uuid))
    await docker.wish(wanted(healed, auto_heal=True))
    before = await docker.until(SeenState.RUNNING, uuid=uuid, seconds=20)
    gone = await docker.until(SeenState.RUNNING, uuid=healed, seconds=20)
    await docker.stop()
    await docker.runtime.containers.remove(gone.runtime_id)
    await docker.start()
    new = await docker.until(SeenState.RUNNING, SeenState.MISSING, uuid=healed, seconds=20)
    while new.state is SeenState.MISSING or new.runtime_id == gone.runtime_id:
        await docker.clock.sleep(0.05)
        new = await docker.until(SeenState.RUNNING, uuid=healed, seconds=20)
    after = await docker.seen(uuid)
    assert after is not None
    assert (after.runtime_id, after.started_at) == (before.runtime_id, before.started_at)


async def test_auto_removed_containers_leave_docker(docker: World) -> None:
    await docker.start(auto_remove_linger_seconds=0.1)
    uuid = new_uuid()
    await docker.wish(wanted(uuid, command=["sh", "-c", "exit 9"], auto_remove=True))
    seen = await docker.until(SeenState.GONE, uuid=uuid, seconds=20)
    assert seen.exit_code == 9
    assert await docker.runtime.containers.list() == []
