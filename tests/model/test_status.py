# SPDX-License-Identifier: Apache-2.0
"""The derived status is total and consistent: whatever the three writers wrote, in whatever order it arrives."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from support.records import record as a_record
from zun.model.records import ContainerRecord, Intent, Observation, Place, PlaceFailure, SeenState, Verb
from zun.model.states import Status, TaskState
from zun.model.status import derive_status, pending_intents

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


@st.composite
def places(draw: st.DrawFn) -> Place | None:
    if draw(st.integers(0, 3)) == 0:
        return None
    if draw(st.booleans()):
        refused = draw(st.dictionaries(st.integers(1, 8), st.just("no room"), max_size=2))
        return Place("u", "n1", draw(st.integers(1, 3)), 1.0, resize_refused=refused)
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
