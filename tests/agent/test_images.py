# SPDX-License-Identifier: Apache-2.0
"""Images: pulled as the policy says, once for all who wait; and those that operators want on the node."""

import pytest
from agent_records import C1, NODE, PROJECT, inbox, intent, run_intents, uuid_of
from agent_world import World

from zun.agent.images import pull_policy
from zun.model.errors import Invalid, NotFound
from zun.model.records import ImageSource, ImageWish, SeenState, Verb
from zun.store import keys
from zun.store.interface import Delete

APP = "docker.io/library/app:1"


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (None, "ifnotpresent"),
        ("", "ifnotpresent"),
        ("always", "always"),
        ("Always", "always"),
        ("IfNotPresent", "ifnotpresent"),
        ("if-not-present", "ifnotpresent"),
        ("IF_NOT_PRESENT", "ifnotpresent"),
        ("Never", "never"),
    ],
)
async def test_a_pull_policy_may_be_spelled_as_one_likes(text: str | None, policy: str) -> None:
    assert pull_policy(text) == policy


async def test_an_unknown_pull_policy_is_refused() -> None:
    with pytest.raises(Invalid, match="sometimes"):
        pull_policy("sometimes")


async def test_one_pull_serves_all_who_wait_and_is_shown(world: World) -> None:
    await world.start()
    world.engine.faults.delay("pull", 30)
    for number in range(1, 6):
        await world.wish(inbox(uuid_of(number), *run_intents(), source=ImageSource(reference=APP)))
    for number in range(1, 6):
        await world.until(SeenState.RUNNING, uuid=uuid_of(number))
    assert world.calls("pull") == 1
    await world.wish(inbox(uuid_of(6), *run_intents(), source=ImageSource(reference=APP)))
    await world.until(SeenState.RUNNING, uuid=uuid_of(6))
    assert world.calls("pull") == 1
    await world.wish(inbox(uuid_of(7), *run_intents(), source=ImageSource(reference=APP, pull_policy="Always")))
    await world.until(SeenState.RUNNING, uuid=uuid_of(7))
    assert world.calls("pull") == 2


async def test_a_pull_that_nobody_waits_for_any_more_is_given_up(world: World) -> None:
    await world.start()
    world.engine.faults.hang("pull")
    await world.wish(inbox(C1, *run_intents(), source=ImageSource(reference=APP)))
    await world.settle(1)
    await world.ask(intent(3, Verb.DELETE, force=True))
    assert (await world.done("req-3", seconds=30)).message is None
    assert "cut short" in ((await world.done("req-run")).message or "")
    world.engine.faults.clear()
    await world.settle()
    assert APP not in world.engine.images


async def test_a_failed_pull_fails_all_who_waited_and_the_next_one_tries_again(world: World) -> None:
    await world.start()
    world.engine.faults.delay("pull", 5)
    world.runtime.fail("pull", NotFound("There is no such image."))
    for number in (1, 2):
        await world.wish(inbox(uuid_of(number), *run_intents(), source=ImageSource(reference=APP)))
    for number in (1, 2):
        assert (await world.done("req-run", uuid_of(number))).message == "There is no such image."
    await world.ask(intent(3, Verb.START))
    await world.until(SeenState.RUNNING)


def wish(number: int = 9, **fields: object) -> ImageWish:
    told: dict[str, object] = {"source": ImageSource(reference=APP, pull_policy="always")}
    return ImageWish(uuid_of(number), PROJECT, "user", NODE, "app", "1", 0.0, **(told | fields))  # type: ignore[arg-type]


async def image_state(world: World, number: int = 9, seconds: float = 30) -> str:
    for _ in range(int(seconds)):
        seen = await world.image_seen(uuid_of(number))
        if seen is not None and seen.state != "pulling":
            return seen.state
        await world.settle(1)
    return "pulling"


async def test_a_wished_image_is_pulled_shown_and_removed(world: World) -> None:
    await world.start()
    world.engine.faults.delay("pull", 10)
    await world.wish_image(wish())
    await world.settle(2)
    seen = await world.image_seen(uuid_of(9))
    assert seen is not None
    assert seen.state == "pulling"
    assert await image_state(world) == "ready"
    await world.wish_image(wish(absent=True))
    await world.settle(1)
    assert await image_state(world) == "gone"
    assert APP not in world.engine.images
    await world.store.transact([], [Delete(keys.image_inbox(NODE, uuid_of(9)))])
    await world.settle(1)
    assert await world.image_seen(uuid_of(9)) is None


async def test_an_image_that_cannot_be_pulled_says_why(world: World) -> None:
    await world.start()
    world.engine.any_image = False
    await world.wish_image(wish())
    assert await image_state(world) == "error"
    seen = await world.image_seen(uuid_of(9))
    assert seen is not None
    assert "app" in seen.error


async def test_after_a_restart_ready_images_are_left_and_unfinished_ones_pulled(world: World) -> None:
    await world.start()
    await world.wish_image(wish())
    assert await image_state(world) == "ready"
    world.engine.faults.hang("pull")
    other = ImageSource(reference="docker.io/library/other:1")
    await world.wish_image(wish(8, source=other))
    await world.settle(1)
    await world.stop()
    world.engine.faults.clear()
    pulls = world.calls("pull")
    await world.start()
    assert await image_state(world, 8) == "ready"
    assert world.calls("pull") == pulls + 1
