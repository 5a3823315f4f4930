# SPDX-License-Identifier: Apache-2.0
"""A storm can be made again from its seed, and mends what it breaks."""

from itertools import chain

from chaos.accidents import LASTING_ON_NODES, MOST_AT_ONCE, Accident, Kind, plan

MACHINES = {
    "lb": ["haproxy"],
    **{f"etcd{number}": ["etcd"] for number in (1, 2, 3)},
    **{f"control{number}": ["api", "controller", "gate"] for number in (1, 2)},
    **{f"node{number}": ["containerd", "dockerd", "compute"] for number in (1, 2, 3)},
}
ROUNDS = plan(11, 400, MACHINES)
ALL = list(chain.from_iterable(ROUNDS))


def concerned(accident: Accident) -> set[str]:
    return {accident.machine, accident.other} - {""}


def test_the_same_seed_gives_the_same_storm_and_another_seed_another() -> None:
    assert plan(11, 400, dict(reversed(MACHINES.items()))) == ROUNDS
    assert plan(12, 400, MACHINES) != ROUNDS


def test_a_longer_storm_begins_like_a_shorter_one() -> None:
    assert plan(11, 3, MACHINES) == ROUNDS[:3]


def test_accidents_of_a_round_never_meet_on_one_machine() -> None:
    for accidents in ROUNDS:
        machines = [name for accident in accidents for name in concerned(accident)]
        assert 1 <= len(accidents) <= MOST_AT_ONCE
        assert len(machines) == len(set(machines)), accidents


def test_everything_happens_to_everybody() -> None:
    assert {accident.kind for accident in ALL} == set(Kind)
    assert {accident.lasts for accident in ALL if accident.kind is not Kind.CONTAINER} == set(LASTING_ON_NODES)
    targets = {accident.target for accident in ALL}
    assert targets == set(MACHINES) | {f"{name}/{process}" for name, run in MACHINES.items() for process in run}


def test_an_engine_that_is_made_up_has_no_containers_that_can_be_killed() -> None:
    machines = {name: ["compute"] if name.startswith("node") else run for name, run in MACHINES.items()}
    assert Kind.CONTAINER not in {accident.kind for accident in chain(*plan(11, 400, machines))}
