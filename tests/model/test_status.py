# SPDX-License-Identifier: Apache-2.0
"""The derived status is total and consistent: whatever the three writers wrote, in whatever order it arrives."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from support.records import record as a_record
from support.records import spec as a_spec
from zun.model.moving import Leaving, LeavingKind, Resume
from zun.model.records import ContainerRecord, Intent, Observation, Place, PlaceFailure, SeenState, Verb
from zun.model.states import Status, TaskState
from zun.model.status import Away, derive_status, pending_intents

VERBS = st.sampled_from([verb for verb in Verb if verb is not Verb.DELETE])


@st.composite
def wishes(draw: st.DrawFn, *, deleting: bool | None = None) -> ContainerRecord:
    verbs: list[Verb] = draw(st.lists(VERBS, max_size=6))
    if draw(st.booleans()) if deleting is None else deleting:
        verbs.append(Verb.DELETE)
    first = draw(st.integers(1, 5))
    intents = [Intent(n, verb, f"req-{n}", 1.0) for n, verb in enumerate(verbs, first)]
    seq = first + len(verbs) - 1
    return msgspec.structs.replace(a_record(), intents=intents, seq=seq)


resumes = st.builds(
    Resume,
    origin=st.just("n0"),
    kind=st.sampled_from(LeavingKind),
    request_id=st.just("req-move"),
    at=st.just(1.0),
    intent_done=st.integers(0, 9),
)
departures = st.builds(
    Leaving,
    kind=st.sampled_from(LeavingKind),
    at=st.just(1.0),
    request_id=st.just("req-move"),
    lost_life=st.none() | st.just(7),
    order=st.none() | resumes,
)


@st.composite
def places(draw: st.DrawFn) -> Place | None:
    if draw(st.integers(0, 3)) == 0:
        return None
    if draw(st.booleans()):
        refused = draw(st.dictionaries(st.integers(1, 8), st.just("no room"), max_size=2))
        return Place(
            "u",
            "n1",
            draw(st.integers(1, 3)),
            1.0,
            resize_refused=refused,
            leaving=draw(st.none() | departures),
            resume=draw(st.none() | resumes),
            heal_delay_seconds=draw(st.sampled_from([None, 60.0])),
            failure=draw(st.none() | st.just(PlaceFailure("no hosts", "3 of 4 nodes: full.", 1.0, 1))),
        )
    return Place("u", "", 0, 1.0, failure=PlaceFailure("no hosts", "0 of 0", 1.0, draw(st.integers(0, 9))))


sightings = st.none() | st.builds(
    Observation,
    uuid=st.just("u"),
    generation=st.integers(1, 3),
    state=st.sampled_from(SeenState),
    intent_done=st.integers(0, 9),
    pulling=st.booleans(),
    error=st.sampled_from(["", "it broke"]),
    reason=st.sampled_from(["", "oops"]),
)


@given(wishes(), places(), sightings, st.booleans())
def test_every_combination_has_one_status(
    record: ContainerRecord, place: Place | None, seen: Observation | None, alive: bool
) -> None:
    derived = derive_status(record, place, seen, node_alive=alive)
    assert derived.status in Status
    assert derived.task_state is None or derived.task_state in TaskState
    assert derived == derive_status(record, place, seen, node_alive=alive)


@given(wishes(deleting=True), places(), sightings, st.booleans())
def test_what_waits_to_be_deleted_is_deleting_everywhere(
    record: ContainerRecord, place: Place | None, seen: Observation | None, alive: bool
) -> None:
    waits = any(intent.verb is Verb.DELETE for intent in pending_intents(record, place, seen))
    derived = derive_status(record, place, seen, node_alive=alive)
    assert (derived.status is Status.DELETING) == waits


@given(wishes(deleting=False), places(), sightings)
def test_without_its_node_a_placed_container_is_unknown_whatever_was_seen(
    record: ContainerRecord, place: Place | None, seen: Observation | None
) -> None:
    status = derive_status(record, place, seen, node_alive=False).status
    if place is not None and place.node:
        assert status is Status.UNKNOWN
    else:
        assert status in {Status.CREATING, Status.ERROR}


@given(wishes(), places(), sightings, st.booleans())
def test_what_another_generation_did_counts_for_nothing(
    record: ContainerRecord, place: Place | None, seen: Observation | None, alive: bool
) -> None:
    if place is None or seen is None or seen.generation == place.generation:
        return
    assert derive_status(record, place, seen, node_alive=alive) == derive_status(record, place, None, node_alive=alive)


@given(wishes(), places(), sightings)
def test_intents_wait_in_order_until_they_are_done_or_refused(
    record: ContainerRecord, place: Place | None, seen: Observation | None
) -> None:
    waiting = [intent.n for intent in pending_intents(record, place, seen)]
    assert waiting == sorted(set(waiting))
    counts = place is not None and seen is not None and seen.generation == place.generation
    assert all(n > seen.intent_done for n in waiting if counts and seen is not None)
    assert not set(waiting) & set(place.resize_refused if place is not None else {})


@given(wishes(deleting=False), sightings)
def test_an_error_is_shown_with_its_reason(record: ContainerRecord, seen: Observation | None) -> None:
    place = Place("u", "n1", 1, 1.0)
    if seen is None or seen.generation != 1 or not seen.error:
        return
    derived = derive_status(record, place, seen, node_alive=True)
    first = next(iter(pending_intents(record, place, seen)), None)
    if first is not None and first.verb in {Verb.CREATE, Verb.REBOOT, Verb.REBUILD}:
        assert derived.status in {Status.CREATING, Status.RESTARTING, Status.REBUILDING}
    else:
        assert (derived.status, derived.reason) == (Status.ERROR, "it broke")


def test_a_start_after_a_failed_placement_tries_again() -> None:
    record = msgspec.structs.replace(a_record(), seq=2)
    place = Place("u", "", 0, 1.0, failure=PlaceFailure("no hosts", "", 1.0, 2))
    assert derive_status(record, place, None, node_alive=False).status is Status.ERROR
    record.seq = 3
    assert derive_status(record, place, None, node_alive=False).status is Status.CREATING


def test_a_pull_is_shown_while_it_creates() -> None:
    record = msgspec.structs.replace(a_record(), seq=1, intents=[Intent(1, Verb.CREATE, "r", 1.0)])
    seen = Observation("u", 1, SeenState.ABSENT, pulling=True)
    derived = derive_status(record, Place("u", "n1", 1, 1.0), seen, node_alive=True)
    assert (derived.status, derived.task_state) == (Status.CREATING, TaskState.IMAGE_PULLING)


def lost(away: Away, **fields: object) -> str | None:
    """What the owner of a container that heals reads while its node is away."""
    record = msgspec.structs.replace(a_record(), spec=a_spec(auto_heal=True))
    place = msgspec.structs.replace(Place("u", "n1", 1, 1.0, heal_delay_seconds=60.0), **fields)
    return derive_status(record, place, None, node_alive=False, away=away).reason


def test_a_container_on_its_way_says_what_happens() -> None:
    noon = 1_700_049_600.0
    assert lost(Away(since=noon)) == (
        "Node n1 is lost; the container moves to another at 12:01:00 UTC or soon after, unless it returns."
    )
    assert lost(Away()) == "Node n1 is lost; the container moves to another when it was away for 60 seconds."
    assert lost(Away(held_back=True)) == (
        "Node n1 is lost, and so many others are that nothing moves until some return."
    )
    assert lost(Away(forced=True, held_back=True, since=noon)) == (
        "Node n1 was declared down; the container moves to another at 12:01:00 UTC or soon after, unless it returns."
    )
    full = PlaceFailure("", "3 of 4 nodes: not enough memory.", 1.0, 1)
    assert lost(Away(since=noon), failure=full) == (
        "Node n1 is lost, and no other can have the container: 3 of 4 nodes: not enough memory."
    )
    leaving = Leaving(LeavingKind.LOST, 1.0, "req-move", lost_life=3)
    assert lost(Away(since=noon), leaving=leaving) == "Node n1 is lost; the container moves to another now."
    assert lost(Away(since=noon), heal_delay_seconds=None) == "Node n1 does not report; its containers may still run."


def test_while_it_is_made_elsewhere_it_is_rebuilding_and_says_from_where_it_comes() -> None:
    resume = Resume("n0", LeavingKind.LOST, "req-move", 1.0, run=True)
    place = Place("u", "n1", 2, 1.0, resume=resume)
    derived = derive_status(a_record(), place, None, node_alive=True)
    assert (derived.status, derived.task_state) == (Status.REBUILDING, TaskState.REBUILDING)
    assert derived.reason == "Node n0 is lost; it is made on n1."
    running = Observation("u", 2, SeenState.RUNNING)
    assert derive_status(a_record(), place, running, node_alive=True).status is Status.RUNNING
