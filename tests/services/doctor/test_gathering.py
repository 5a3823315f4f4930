# SPDX-License-Identifier: Apache-2.0
"""The doctor's facts are what is there, and what does not answer is a fact like any other."""

import asyncio

import msgspec
import pytest

from support.examining import OWN, gathering
from support.records import record
from support.world import World
from zun.model.errors import Unavailable
from zun.model.moving import Leaving, LeavingKind
from zun.model.process import ProcessRecord
from zun.model.records import Claim, Intent, NodeRecord, SeenState, Usage, Verb
from zun.services.doctor.options import DoctorOptions
from zun.services.nodelive_fake import FakeDirectory, FakeNode
from zun.store import codec, keys
from zun.store.interface import Put
from zun.store.memory import MemoryStore

SOON = DoctorOptions(node_seconds=0.2, waiting_seconds=60.0)


def node(world: World, **changed: object) -> FakeNode:
    made = FakeNode()
    made.description = msgspec.structs.replace(made.description, **{"at": world.clock.now()} | changed)
    return made


async def test_a_node_tells_its_clock_version_and_certificate_itself(world: World) -> None:
    asked = node(world, at=world.clock.now() + 50.0, version="0.3.0", certificate_expires_at=7.0)
    (told,) = (await gathering(world.store, world.view, FakeDirectory({"n1": asked}), world.clock).facts()).nodes
    assert (told.name, told.alive, told.streams) == ("n1", True, "")
    assert (told.version, told.certificate_expires_at) == ("0.3.0", 7.0)
    assert told.ahead_seconds == pytest.approx(50.0, abs=1.0)


async def test_a_node_that_hangs_or_is_not_reached_does_not_keep_the_others(world: World) -> None:
    await world.node("n2", version="0.2.0", state_free_mib=77)
    await world.node("n3")
    hanging = node(world)
    hanging.hanging = True
    directory = FakeDirectory({"n1": node(world), "n3": hanging})
    async with asyncio.timeout(60):
        facts = await gathering(world.store, world.view, directory, world.clock, options=SOON).facts()
    one, two, three = facts.nodes
    assert one.streams == ""
    assert "cannot be reached" in two.streams
    assert (two.version, two.state_free_mib, two.ahead_seconds) == ("0.2.0", 77, None)
    assert three.streams == "it said nothing for 0.2 seconds"


async def test_nodes_that_do_not_report_or_are_declared_down_are_not_asked(world: World) -> None:
    await world.node("n2")
    await world.node_dies("n1")
    await world.put(keys.node("n2"), NodeRecord("n2", 2, 0.0, forced_down=True))
    asked = {"n1": node(world), "n2": node(world)}
    facts = await gathering(world.store, world.view, FakeDirectory(asked), world.clock).facts()
    assert [(one.alive, one.forced_down, one.streams) for one in facts.nodes] == [(False, False, ""), (False, True, "")]
    assert not any(one.asked for one in asked.values())


async def test_processes_and_the_leader_come_from_the_store(world: World) -> None:
    other = ProcessRecord(role="controller", identity="there:2", version="0.2.0", started_at=1.0)
    for one in (other, OWN):
        await world.put(keys.process(one.role, one.identity), one)
    await world.write(Put(keys.process("api", "newer"), b"what is this?"), Put(keys.leader("controller"), b"there:2"))
    facts = await gathering(world.store, world.view, FakeDirectory(), world.clock).facts()
    assert facts.processes == (OWN, other)
    assert facts.leader == "there:2"


async def test_the_usage_of_a_project_is_compared_with_what_it_has(world: World) -> None:
    right, wrong = record("right"), record("wrong")
    for one in (right, wrong):
        await world.wish(one)
    spec = right.spec
    usage = Usage(1, int((spec.cpu or 0) * 1000), spec.memory, spec.disk)
    await world.put(keys.quota("right"), usage)
    await world.put(keys.quota("wrong"), msgspec.structs.replace(usage, containers=2))
    found = (await gathering(world.store, world.view, FakeDirectory(), world.clock).facts()).survey
    assert found is not None
    assert (found.containers, found.projects) == (2, 2)
    assert [(one.project_id, one.recorded.containers, one.counted.containers) for one in found.wrong] == [
        ("wrong", 2, 1)
    ]


async def test_containers_that_wait_for_long_are_found_by_what_they_wait_for(world: World) -> None:
    now, ago = world.clock.now(), world.clock.now() - 3600
    start, delete = Intent(1, Verb.START, "req-1", ago), Intent(1, Verb.DELETE, "req-2", ago)
    unplaced, fresh = record(seq=1, intents=[start]), record(seq=1, intents=[Intent(1, Verb.START, "req-3", now)])
    undone, deleting, leaving = (record(seq=1, intents=[one]) for one in (start, delete, start))
    in_grace = msgspec.structs.replace(delete, stop=True, timeout_seconds=7200)
    ending = record(seq=1, intents=[in_grace])
    for one in (unplaced, fresh, undone, deleting, leaving, ending):
        await world.wish(one)
    for one in (undone, deleting, leaving, ending):
        await world.place(one.uuid, at=ago)
        await world.sees(one.uuid, SeenState.CREATED, done=0)
    await world.place(leaving.uuid, leaving=Leaving(LeavingKind.DRAINED, ago, "req-4"))
    found = (await gathering(world.store, world.view, FakeDirectory(), world.clock, options=SOON).facts()).survey
    assert found is not None
    assert {stuck.what: stuck.named for stuck in found.stuck} == {
        "containers wait for a node": (unplaced.uuid,),
        "containers wait for their nodes to do what was asked": (undone.uuid,),
        "containers are being deleted": (deleting.uuid,),
        "containers are to leave their nodes and cannot": (leaving.uuid,),
    }


class Silent(MemoryStore):
    """A store that can be away, or hang."""

    how = ""

    async def revision(self) -> int:
        if self.how == "away":
            raise Unavailable("No member of etcd can be used.")
        if self.how == "hangs":
            await asyncio.Event().wait()
        return await super().revision()


@pytest.mark.parametrize(
    ("how", "why"), [("away", "No member of etcd can be used"), ("hangs", "it said nothing for 0.2 seconds")]
)
async def test_with_the_store_away_the_rest_is_still_examined(world: World, how: str, why: str) -> None:
    silent = Silent(world.clock)
    silent.how = how
    directory = FakeDirectory({"n1": node(world)})
    async with asyncio.timeout(60):
        facts = await gathering(silent, world.view, directory, world.clock, options=SOON).facts()
    await silent.close()
    assert (facts.store.trouble, facts.leader, facts.processes) == (why, "", (OWN,))
    assert [one.streams for one in facts.nodes] == [""]
    assert facts.survey is not None


async def test_what_there_is_no_time_for_is_left_out(world: World) -> None:
    hurried = DoctorOptions(total_seconds=0.000001)
    facts = await gathering(world.store, world.view, FakeDirectory(), world.clock, options=hurried).facts()
    assert facts.survey is None
    assert len(facts.left_out) == 2


async def test_how_far_the_history_goes_is_found(world: World) -> None:
    for _ in range(5):
        revision = await world.write(Put(keys.TOUCHED + "x", codec.encode(Claim())))
    await world.store.compact(revision - 2)
    facts = await gathering(world.store, world.view, FakeDirectory(), world.clock).facts()
    assert (facts.store.revision, facts.store.oldest_revision) == (revision, revision - 2)
