# SPDX-License-Identifier: Apache-2.0
"""A node that is broken or captured may tell anything; it harms nobody but its own containers."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from support.records import T0, node_info, record
from support.world import World, world_on
from zun.base.clock import ManualClock
from zun.model.errors import Timeout
from zun.model.records import (
    ActionResult,
    Claim,
    ImageObservation,
    ImageSource,
    ImageWish,
    NetworkInfo,
    Observation,
    SeenState,
)
from zun.model.states import Status
from zun.store import codec, keys
from zun.store.interface import Put
from zun.store.memory import MemoryStore

DEEP = b'{"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
GONE = b'{"uuid":"%b","generation":1,"state":"gone","intent_done":9%b}'
NONSENSE = [b"", b"{", b"[]", b"5", b'"text"', b"\xff", DEEP]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = ManualClock()
    store = MemoryStore(clock)
    async with world_on(store, clock) as made:
        yield made
    await store.close()


@pytest.mark.parametrize("raw", NONSENSE)
async def test_an_observation_nobody_can_read_leaves_the_container_as_it_was(world: World, raw: bytes) -> None:
    await world.node()
    entry = await world.wish(record())
    await world.running(entry.uuid)
    await world.write(Put(keys.observation("n1", entry.uuid), raw))
    assert world.view.derive(entry).status is Status.RUNNING
    assert [found.uuid for found in world.view.containers(status=Status.RUNNING)] == [entry.uuid]


@pytest.mark.parametrize(
    "told",
    [
        b',"reason":"' + b"a" * 300_000 + b'"',
        b',"exit_code":1' + b"0" * 30,
        b',"started_at":1e300',
        b',"started_at":-1',
        b',"restarts":18446744073709551616',
        b',"ports":[9999999999999999999999]',
    ],
)
async def test_what_nobody_can_show_or_carry_is_not_believed(world: World, told: bytes) -> None:
    await world.node()
    entry = await world.wish(record())
    await world.running(entry.uuid)
    await world.write(Put(keys.observation("n1", entry.uuid), GONE % (entry.uuid.encode(), told)))
    assert world.view.derive(entry).status is Status.RUNNING


async def test_a_report_that_tells_of_another_container_is_not_believed(world: World) -> None:
    await world.node()
    entry, other = await world.wish(record()), await world.wish(record())
    await world.running(entry.uuid)
    await world.running(other.uuid)
    await world.write(Put(keys.observation("n1", entry.uuid), GONE % (other.uuid.encode(), b"")))
    assert world.view.derive(entry).status is Status.RUNNING
    assert world.view.derive(other).status is Status.RUNNING


async def test_an_observation_that_cannot_be_read_is_not_believed_after_a_placement_either(world: World) -> None:
    await world.node()
    entry = await world.wish(record())
    await world.write(Put(keys.observation("n1", entry.uuid), b"{"))
    await world.place(entry.uuid)
    assert world.view.derive(entry).status is Status.CREATING


@pytest.mark.parametrize("raw", NONSENSE)
async def test_a_report_of_an_image_nobody_can_read_leaves_it_as_it_was(world: World, raw: bytes) -> None:
    wish = ImageWish("i1", "p1", "u1", "n1", "busybox", "latest", T0, ImageSource("docker.io/library/busybox:latest"))
    await world.write(Put(keys.image("i1"), codec.encode(wish)))
    ready = ImageObservation("i1", "ready")
    await world.write(Put(keys.image_observation("n1", "i1"), codec.encode(ready)))
    await world.write(Put(keys.image_observation("n1", "i1"), raw))
    assert [image.observation for image in world.view.images()] == [ready]


async def test_a_node_cannot_give_itself_out_as_another(world: World) -> None:
    honest = await world.node("n1")
    await world.write(Put(keys.node_info("n2"), codec.encode(node_info("n1"))))
    assert [node.info for node in world.view.nodes() if node.info is not None] == [honest]


async def test_a_subnet_that_is_none_is_not_believed(world: World) -> None:
    honest = await world.node("n1")
    lying = node_info("n1", networks=[NetworkInfo("1", "lab", subnets=["10.9.0.0/24", "nonsense"])])
    await world.write(Put(keys.node_info("n1"), codec.encode(lying)))
    assert [node.info for node in world.view.nodes()] == [honest]


async def test_only_the_node_of_its_place_ends_the_wait_for_an_action(world: World) -> None:
    entry = await world.wish(record())
    await world.place(entry.uuid, "n1")
    forged = ActionResult("req-1", 1, T0, finish_time=T0, message="forged")
    with world.view.expect(entry.uuid, "req-1") as expectation:
        await world.write(Put(keys.action_result("n2", entry.uuid, "req-1"), codec.encode(forged)))
        with pytest.raises(Timeout):
            await expectation.result(0.01)


async def test_what_agents_write_is_believed(world: World) -> None:
    await world.node()
    entry = await world.wish(record())
    await world.place(entry.uuid, claim=Claim(millicpus=1))
    seen = Observation(entry.uuid, 1, SeenState.EXITED, exit_code=-1, started_at=T0, finished_at=T0 + 1, ports=[80])
    await world.write(Put(keys.observation("n1", entry.uuid), codec.encode(seen)))
    assert msgspec.structs.asdict(entry.seen() or seen)["exit_code"] == -1
    assert world.view.derive(entry).status is Status.STOPPED
