# SPDX-License-Identifier: Apache-2.0
"""A container that comes from another node, or goes to one, as a node's agent sees it."""

import msgspec
import pytest
from agent_records import C1, inbox, intent, run_intents, uuid_of
from agent_world import World

from zun.model.errors import Unavailable
from zun.model.moving import LeavingKind, Resume
from zun.model.parts import NetRequest
from zun.model.records import Inbox, SeenState, Verb

DELAY = 60.0


def arriving(*intents: object, **fields: object) -> Inbox:
    """An inbox entry of a container that was on another node before."""
    told: dict[str, object] = {"intent_done": 2, "seq": 2, "run": True}
    resume = Resume("n0", LeavingKind.LOST, "req-move", 1.0, **(told | fields))  # type: ignore[arg-type]
    entry = inbox(C1, *intents, generation=2, auto_heal=True)  # type: ignore[arg-type]
    return msgspec.structs.replace(entry, resume=resume)


def order(entry: Inbox) -> Inbox:
    """The order that it be gone from its node."""
    return msgspec.structs.replace(entry, intents=[], absent=True)


async def test_a_container_that_ran_elsewhere_runs_here_and_the_move_is_told(world: World) -> None:
    await world.start()
    await world.wish(arriving())
    seen = await world.until(SeenState.RUNNING)
    assert (seen.generation, seen.intent_done) == (2, 2)
    told = await world.done("req-move")
    assert told.message is None
    assert [event.event for event in told.events] == ["compute__do_container_move", "image", "create", "start"]


async def test_a_container_that_did_not_run_is_made_and_not_started(world: World) -> None:
    await world.start()
    await world.wish(arriving(run=False))
    await world.until(SeenState.CREATED)
    await world.settle(30)
    assert world.calls("start") == 0


async def test_what_its_earlier_node_had_not_done_is_done_here(world: World) -> None:
    await world.start()
    await world.wish(arriving(intent(3, Verb.STOP), seq=3))
    assert (await world.done("req-3")).message is None
    await world.until(SeenState.EXITED)


async def test_a_failure_is_told_and_tried_again_as_healing_does(world: World) -> None:
    await world.start()
    world.runtime.fail("create", Unavailable("The engine is busy."), times=8)
    await world.wish(arriving())
    told = await world.done("req-move")
    assert told.message == "The engine is busy."
    await world.until(SeenState.RUNNING)


async def test_an_agent_that_dies_while_it_makes_it_goes_on_with_it(world: World) -> None:
    await world.start()
    world.engine.faults.delay("create", 10.0)
    await world.wish(arriving())
    await world.settle(5)
    world.engine.faults.clear()
    await world.restart()
    await world.until(SeenState.RUNNING)
    world.only()


async def test_what_is_to_be_deleted_is_not_made_first_nor_afterwards(world: World) -> None:
    await world.start()
    await world.wish(arriving(intent(3, Verb.DELETE, force=True)))
    assert (await world.done("req-3")).message is None
    await world.settle(30)
    assert world.objects() == []
    assert world.calls("create") == 0


async def test_it_is_on_the_networks_it_was_on(world: World) -> None:
    world.engine.add_network("shop", "10.30.0.0/24")
    await world.start()
    await world.wish(arriving(networks=[NetRequest("bridge"), NetRequest("shop")]))
    seen = await world.until(SeenState.RUNNING)
    assert {address.network for address in seen.addresses} == {"bridge", "shop"}


@pytest.mark.parametrize("run", [True, False])
async def test_one_that_is_to_be_gone_says_whether_it_ran(world: World, run: bool) -> None:
    await world.start()
    entry = inbox(C1, *run_intents()) if run else inbox(C1, intent(1, Verb.CREATE))
    await world.wish(entry)
    await world.until(SeenState.RUNNING if run else SeenState.CREATED)
    await world.wish(order(entry))
    seen = await world.until(SeenState.GONE)
    assert seen.ran is run
    assert seen.intent_done == (2 if run else 1)
    assert world.objects() == []


async def test_an_order_is_tried_until_it_is_done(world: World) -> None:
    await world.start()
    entry = inbox(C1, *run_intents())
    await world.wish(entry)
    await world.until(SeenState.RUNNING)
    world.runtime.fail("remove", Unavailable("The engine is busy."), times=20)
    await world.wish(order(entry))
    await world.until(SeenState.GONE, seconds=300)


async def test_an_order_ends_no_intent_that_it_cuts_short(world: World) -> None:
    """The next node is to carry it out."""
    await world.start()
    world.engine.faults.delay("create", 30.0)
    entry = inbox(C1, *run_intents())
    await world.wish(entry)
    await world.settle(5)
    await world.wish(order(entry))
    seen = await world.until(SeenState.GONE)
    assert seen.intent_done == 0
    assert await world.result("req-run") is None or (await world.result("req-run")).finish_time is None  # type: ignore[union-attr]


async def test_one_that_never_came_says_how_it_was_to_go_on(world: World) -> None:
    await world.start()
    await world.wish(order(arriving()))
    seen = await world.until(SeenState.GONE)
    assert (seen.ran, seen.intent_done) == (True, 2)


async def test_what_is_to_be_gone_goes_before_anything_is_started(world: World) -> None:
    entry, other = inbox(C1, *run_intents()), inbox(uuid_of(2), *run_intents())
    await world.start()
    await world.wish(entry)
    await world.until(SeenState.RUNNING)
    await world.stop()
    await world.wish(order(entry))
    await world.wish(other)
    world.runtime.fail("remove", Unavailable("The engine is busy."), times=8)
    starts = world.calls("start")
    await world.start()
    while world.objects():
        assert world.calls("start") == starts
        await world.settle(0.1)
    await world.until(SeenState.RUNNING, uuid=uuid_of(2))


async def test_an_object_that_cannot_be_removed_but_does_not_run_holds_nothing_up(world: World) -> None:
    entry, other = inbox(C1, *run_intents()), inbox(uuid_of(2), *run_intents())
    await world.start()
    await world.wish(entry)
    await world.until(SeenState.RUNNING)
    await world.ask(intent(3, Verb.STOP))
    await world.until(SeenState.EXITED)
    await world.stop()
    await world.wish(order(entry))
    await world.wish(other)
    world.runtime.fail("remove", Unavailable("The engine will not."), times=None)
    await world.start()
    await world.until(SeenState.RUNNING, uuid=uuid_of(2))


async def test_a_guarded_container_is_told_to_the_watchdog_before_its_first_start(world: World) -> None:
    await world.start()
    world.runtime.fail("start", Unavailable("The engine is busy."), times=None)
    entry = inbox(C1, *run_intents(), auto_heal=True)
    await world.wish(msgspec.structs.replace(entry, heal_delay_seconds=DELAY))
    await world.until(SeenState.CREATED, guarded=True)
    written = (world.state_dir / "watchdog" / "guarded" / C1).read_text().split()
    assert written == ["boot-1", world.only().handle, "0", "0", "60"]
    assert (world.state_dir / "watchdog" / "renewed").read_text().split()[0] == "boot-1"


async def test_a_commit_that_an_order_cuts_short_says_so_of_its_image(world: World) -> None:
    await world.start()
    entry = inbox(C1, *run_intents())
    await world.wish(entry)
    await world.until(SeenState.RUNNING)
    world.engine.faults.delay("commit", 60.0)
    await world.ask(intent(3, Verb.COMMIT, repository="mine", tag="v1", image_uuid=uuid_of(9)))
    await world.settle(5)
    await world.wish(order(entry))
    await world.until(SeenState.GONE)
    await world.settle(2)
    image = await world.image_seen(uuid_of(9))
    assert image is not None
    assert (image.state, image.error.partition(";")[0]) == (
        "error",
        "The container was moved to another node during the commit",
    )
