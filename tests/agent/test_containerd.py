# SPDX-License-Identifier: Apache-2.0
"""The agent on a real containerd: the few things that a made-up engine cannot vouch for."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from agent_records import inbox, intent, run_intents
from agent_world import World

from support.containerd_engine import Containerd, containerd
from zun.agent.identity import load_identity
from zun.base.clock import SystemClock
from zun.base.ids import new_uuid
from zun.drivers.runtime.base import Runtime
from zun.drivers.runtime.cri.options import CriOptions
from zun.drivers.runtime.cri.runtime import CriRuntime
from zun.drivers.runtime.labels import OWNER
from zun.model.container import Mount, RestartPolicy
from zun.model.records import ImageSource, Inbox, SeenState, Verb
from zun.store.memory import MemoryStore

pytestmark = pytest.mark.containerd

SOURCE = ImageSource(reference="zun.local/busybox:latest", pull_policy="never")
SECONDS = 30


def wanted(uuid: str, **spec: object) -> Inbox:
    return inbox(uuid, *run_intents(), source=SOURCE, **spec)


@pytest.fixture(scope="module")
def engine() -> Iterator[Containerd]:
    with containerd() as running:
        yield running


@pytest.fixture
async def node(engine: Containerd, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose engine is containerd; its containers are removed afterwards."""
    async with AsyncExitStack() as stack:
        world = World(tmp_path, stack)
        world.clock = SystemClock()
        world.store = MemoryStore(world.clock)
        owner = load_identity(tmp_path).owner
        options = CriOptions(endpoint=engine.endpoint, cgroup_parent=engine.group)
        runtime: Runtime = await CriRuntime.open(options, owner=owner, clock=world.clock, state_dir=tmp_path / "cri")
        stack.push_async_callback(runtime.close)
        world.runtime = runtime  # type: ignore[assignment]
        yield world
        await world.stop()
        engine.remove_pods({OWNER: owner})


async def test_a_container_lives_and_dies_on_containerd(node: World) -> None:
    await node.start()
    uuid = new_uuid()
    await node.hand_blob(0, b"from outside\n", uuid=uuid)
    entry = wanted(uuid, mounts=[Mount("/etc/told", file=0)], command=["sh", "-c", "cat /etc/told; exec sleep 1000"])
    entry.files = 1
    await node.wish(entry)
    seen = await node.until(SeenState.RUNNING, uuid=uuid, seconds=SECONDS)
    assert seen.addresses
    assert seen.started_at is not None
    await node.ask(intent(3, Verb.KILL), uuid=uuid)
    ended = await node.until(SeenState.EXITED, uuid=uuid, seconds=SECONDS, intent_done=3)
    assert ended.exit_code == 137
    await node.ask(intent(4, Verb.START), uuid=uuid)
    await node.until(SeenState.RUNNING, uuid=uuid, seconds=SECONDS, intent_done=4)
    await node.ask(intent(5, Verb.REBUILD, run=True), uuid=uuid)
    await node.until(SeenState.RUNNING, uuid=uuid, seconds=SECONDS, intent_done=5)
    await node.ask(intent(6, Verb.DELETE, force=True), uuid=uuid)
    assert (await node.done("req-6", uuid, seconds=SECONDS)).message is None
    assert await node.runtime.containers.list() == []


async def test_an_end_is_seen_at_once_and_the_policy_starts_it_again(node: World) -> None:
    await node.start()
    uuid, other = new_uuid(), new_uuid()
    await node.wish(wanted(uuid, command=["sh", "-c", "sleep 0.2; exit 3"]))
    await node.wish(wanted(other, command=["false"], restart_policy=RestartPolicy("on-failure", 2)))
    assert (await node.until(SeenState.EXITED, uuid=uuid, seconds=SECONDS)).exit_code == 3
    await node.until(SeenState.EXITED, uuid=other, seconds=SECONDS, restarts=2, exit_code=1)


async def test_containers_on_containerd_outlive_the_agent(node: World) -> None:
    await node.start()
    uuid, healed = new_uuid(), new_uuid()
    await node.wish(wanted(uuid))
    await node.wish(wanted(healed, auto_heal=True))
    before = await node.until(SeenState.RUNNING, uuid=uuid, seconds=SECONDS)
    gone = await node.until(SeenState.RUNNING, uuid=healed, seconds=SECONDS)
    await node.stop()
    await node.runtime.containers.remove(gone.runtime_id)
    await node.start()
    new = await node.until(SeenState.RUNNING, SeenState.MISSING, uuid=healed, seconds=SECONDS)
    while new.state is SeenState.MISSING or new.created_at == gone.created_at:
        await node.clock.sleep(0.05)
        new = await node.until(SeenState.RUNNING, uuid=healed, seconds=SECONDS)
    after = await node.seen(uuid)
    assert after is not None
    assert (after.runtime_id, after.started_at) == (before.runtime_id, before.started_at)


async def test_an_engine_that_is_killed_and_comes_back_changes_nothing_for_who_runs(
    engine: Containerd, node: World
) -> None:
    await node.start(sync_seconds=1)
    uuid, other = new_uuid(), new_uuid()
    await node.wish(wanted(uuid))
    before = await node.until(SeenState.RUNNING, uuid=uuid, seconds=SECONDS)
    engine.kill()
    await node.wish(wanted(other))  # asked for while the engine is away
    engine.start()
    await node.until(SeenState.RUNNING, uuid=other, seconds=SECONDS)
    after = await node.until(SeenState.RUNNING, uuid=uuid, seconds=SECONDS)
    assert (after.runtime_id, after.started_at, after.restarts) == (before.runtime_id, before.started_at, 0)


async def test_auto_removed_containers_leave_containerd(node: World) -> None:
    await node.start(auto_remove_linger_seconds=0.1)
    uuid = new_uuid()
    await node.wish(wanted(uuid, command=["sh", "-c", "exit 9"], auto_remove=True))
    seen = await node.until(SeenState.GONE, uuid=uuid, seconds=SECONDS)
    assert seen.exit_code == 9
    assert await node.runtime.containers.list() == []
