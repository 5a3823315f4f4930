# SPDX-License-Identifier: Apache-2.0
"""Clearing images away: when their node says that they are gone, or is gone itself."""

import asyncio

import msgspec

from controllers.stage import Meddling, reaping, until
from support.records import T0
from support.world import World
from zun.base.clock import ManualClock
from zun.model.records import ImageObservation, ImageSource, ImageWish
from zun.store import codec, keys
from zun.store.fencing import Fence
from zun.store.interface import Put


def an_image(**fields: object) -> ImageWish:
    image = ImageWish("i1", "p1", "u1", "n1", "busybox", "latest", T0, ImageSource("docker.io/library/busybox:latest"))
    return msgspec.structs.replace(image, **fields)


async def wish_image(world: World, image: ImageWish) -> None:
    value = codec.encode(image)
    await world.write(Put(keys.image(image.uuid), value), Put(keys.image_inbox(image.node, image.uuid), value))


async def test_an_image_goes_when_its_node_says_so(world: World, fence: Fence) -> None:
    await world.node("n1")
    async with reaping(world, fence):
        await wish_image(world, an_image(absent=True))
        await world.put(keys.image_observation("n1", "i1"), ImageObservation("i1", "ready"))
        assert world.view.image("i1") is not None
        await world.put(keys.image_observation("n1", "i1"), ImageObservation("i1", "gone"))
        await until(world, lambda: world.view.image("i1") is None)
    assert await world.store.get(keys.image_inbox("n1", "i1")) is None


async def test_an_image_on_a_dead_node_goes_at_once_and_its_order_stays(world: World, fence: Fence) -> None:
    await world.node("n1")
    async with reaping(world, fence):
        await wish_image(world, an_image(absent=True))
        await world.node_dies("n1")
        await until(world, lambda: world.view.image("i1") is None)
        assert await world.store.get(keys.image_inbox("n1", "i1")) is not None
        await world.node_returns("n1")
        await world.put(keys.image_observation("n1", "i1"), ImageObservation("i1", "gone"))
        await until_order_is_out(world)


async def until_order_is_out(world: World) -> None:
    changes = world.view.subscribe()
    async with asyncio.timeout(60):
        while await world.store.get(keys.image_inbox("n1", "i1")) is not None:
            await changes.batch()


async def test_the_order_of_an_image_is_not_left_when_its_node_says_gone_in_the_last_moment(
    world: World, fence: Fence, clock: ManualClock
) -> None:
    await world.node("n1")
    await wish_image(world, an_image(absent=True))
    await world.node_dies("n1")
    said = Put(keys.image_observation("n1", "i1"), codec.encode(ImageObservation("i1", "gone")))
    async with reaping(world, Fence(Meddling(world.store, keys.image("i1"), said), clock, fence.leadership)):
        await until(world, lambda: world.view.image("i1") is None)
        await until_order_is_out(world)
