# SPDX-License-Identifier: Apache-2.0
"""What a capsule is, by what its containers are: the truth table."""

import pytest

from support.records import record
from zun.model.capsule import child_of, child_record, child_seen, together
from zun.model.capsule_status import capsule_status
from zun.model.children import Child, ImageSource, RecordKind
from zun.model.container import ContainerSpec
from zun.model.records import Address, ContainerRecord, Intent, Observation, Place, SeenState, Verb
from zun.model.states import Status, TaskState
from zun.model.status import derive_status

S = SeenState
OK, BAD = (S.EXITED, 0), (S.EXITED, 2)


def child(uuid: str, *, init: bool = False, cpu: float = 0.0, memory: int = 0) -> Child:
    return Child(uuid, ContainerSpec(image="i", name=uuid, cpu=cpu, memory=memory), ImageSource("i"), init=init)


def seen(state: SeenState = S.RUNNING, error: str = "", **children: object) -> Observation:
    """A capsule whose containers are in states; a pair is a state with an exit code."""
    told = []
    for uuid, what in children.items():
        if isinstance(what, str):
            told.append(
                Observation(uuid, 1, S.ABSENT, error=what) if what not in set(S) else Observation(uuid, 1, S(what))
            )
        else:
            there, code = what  # type: ignore[misc]
            told.append(Observation(uuid, 1, there, exit_code=code))
    return Observation("capsule", 1, state, error=error, children=told)


def status(told: Observation) -> Status:
    children = [child(one, init=one.startswith("i")) for one in ("i1", "i2", "a", "b")]
    return capsule_status(children, told)[0]


TABLE = [
    # the sandbox, then init containers i1 and i2, then containers a and b
    (seen(S.ABSENT), Status.CREATING),
    (seen(error="No such network."), Status.ERROR),
    (seen(S.MISSING, i1=OK, i2=OK, a=S.RUNNING, b=S.RUNNING), Status.RESTARTING),
    (seen(S.UNKNOWN, i1=OK, i2=OK, a=S.RUNNING, b=S.RUNNING), Status.UNKNOWN),
    (seen(S.GONE), Status.DELETED),
    (seen(i1=S.RUNNING), Status.CREATING),
    (seen(i1=S.RESTARTING), Status.CREATING),
    (seen(i1=BAD), Status.ERROR),
    (seen(i1=(S.EXITED, None)), Status.ERROR),
    (seen(i1=OK, i2=S.RUNNING), Status.CREATING),
    (seen(i1=OK, i2=BAD), Status.ERROR),
    (seen(i1="There is no such image."), Status.ERROR),
    (seen(i1=S.UNKNOWN), Status.UNKNOWN),
    (seen(i1=OK, i2=OK), Status.CREATING),
    (seen(i1=OK, i2=OK, a=S.RUNNING), Status.CREATING),
    (seen(i1=OK, i2=OK, a=S.RUNNING, b=S.CREATED), Status.CREATING),
    (seen(i1=OK, i2=OK, a=S.RUNNING, b="No such program."), Status.ERROR),
    (seen(i1=OK, i2=OK, a=S.RUNNING, b=S.RUNNING), Status.RUNNING),
    (seen(i1=OK, i2=OK, a=S.RUNNING, b=S.PAUSED), Status.RUNNING),
    (seen(i1=OK, i2=OK, a=S.RUNNING, b=S.RESTARTING), Status.RUNNING),
    (seen(i1=OK, i2=OK, a=S.RESTARTING, b=S.RESTARTING), Status.RUNNING),
    (seen(i1=OK, i2=OK, a=S.MISSING, b=S.RUNNING), Status.RUNNING),
    (seen(i1=OK, i2=OK, a=S.RUNNING, b=OK), Status.RUNNING),
    (seen(i1=OK, i2=OK, a=S.RUNNING, b=BAD), Status.RUNNING),
    (seen(i1=OK, i2=OK, a=S.RUNNING, b=S.UNKNOWN), Status.UNKNOWN),
    (seen(i1=OK, i2=OK, a=OK, b=OK), Status.STOPPED),
    (seen(i1=OK, i2=OK, a=OK, b=BAD), Status.ERROR),
    (seen(i1=OK, i2=OK, a=(S.EXITED, None), b=OK), Status.ERROR),
    (seen(i1=OK, i2=OK, a=S.DEAD, b=OK), Status.ERROR),
]  # fmt: skip


@pytest.mark.parametrize(("told", "expected"), TABLE)
def test_the_truth_table(told: Observation, expected: Status) -> None:
    assert status(told) is expected


def test_an_error_says_which_container_and_how() -> None:
    _, reason = capsule_status([child("web"), child("side")], seen(web=BAD, side=OK))
    assert reason == "Container web ended with exit code 2."
    _, reason = capsule_status([child("first", init=True), child("web")], seen(first=BAD))
    assert reason == "Init container first ended with exit code 2, so nothing after it is started."


def capsule(**fields: object) -> ContainerRecord:
    parts = {"kind": RecordKind.CAPSULE, "children": [child("a"), child("b")], "seq": 1}
    return record(**(parts | fields))  # type: ignore[arg-type]


def test_a_deletion_and_a_lost_node_count_more_than_what_was_seen() -> None:
    told, place = seen(a=S.RUNNING, b=S.RUNNING), Place("capsule", "n1", 1, 0.0)
    assert derive_status(capsule(), place, told, node_alive=True).status is Status.RUNNING
    assert derive_status(capsule(), place, told, node_alive=False).status is Status.UNKNOWN
    deleting = capsule(seq=2, intents=[Intent(2, Verb.DELETE, "req", 0.0)])
    assert derive_status(deleting, place, told, node_alive=True).status is Status.DELETING
    assert derive_status(capsule(), None, None, node_alive=False).status is Status.CREATING


def test_a_container_of_a_capsule_is_what_is_seen_of_it() -> None:
    whole, place = capsule(intents=[Intent(1, Verb.CREATE, "req", 0.0)]), Place("capsule", "n1", 1, 0.0)
    told = seen(a=S.RUNNING)
    told.addresses = [Address("bridge", "10.0.0.2", 4)]
    one = child_of(whole, "a")
    assert one is not None
    derived = derive_status(child_record(whole, one), place, child_seen(told, "a"), node_alive=True)
    assert derived.status is Status.RUNNING
    assert child_seen(told, "a").addresses == told.addresses  # type: ignore[union-attr]
    other = child_of(whole, "b")
    assert other is not None
    waiting = derive_status(child_record(whole, other), place, child_seen(told, "b"), node_alive=True)
    assert (waiting.status, waiting.task_state) == (Status.CREATING, TaskState.CREATING)


def test_a_capsule_takes_what_its_containers_take_together_or_its_largest_init_container() -> None:
    apps = [child("a", cpu=0.5, memory=64), child("b", cpu=0.25, memory=64)]
    assert together(apps) == (0.75, 128)
    assert together([child("i", init=True, cpu=2.0, memory=32), *apps]) == (2.0, 128)
    assert together([child("i", init=True, memory=512), *apps]) == (0.75, 512)
    assert together([child("a")]) == (0.0, 0)
