# SPDX-License-Identifier: Apache-2.0
"""Looking twice changes nothing: what follows from an end is decided once."""

import pytest
from agent_records import C1

from zun.agent.memory import Memory, fresh
from zun.agent.observing import Around, take_in
from zun.agent.options import AgentOptions
from zun.drivers.runtime.types import Seen
from zun.model.container import ContainerSpec, RestartPolicy
from zun.model.records import SeenState

AROUND = Around.of(AgentOptions(restart_delay_seconds=10.0), "boot-1")


def seen(state: SeenState, **fields: object) -> Seen:
    return Seen(handle="h", uuid=C1, generation=1, state=state, started_at=100.0, **fields)  # type: ignore[arg-type]


def running() -> Memory:
    memory = fresh(C1, 1)
    take_in(memory, seen(SeenState.RUNNING), None, AROUND, 100.0)
    return memory


@pytest.mark.parametrize(
    ("spec", "state"),
    [
        (ContainerSpec("i", restart_policy=RestartPolicy("always")), SeenState.RESTARTING),
        (ContainerSpec("i", auto_remove=True), SeenState.EXITED),
        (ContainerSpec("i", restart_policy=RestartPolicy("on-failure")), SeenState.EXITED),
    ],
)
def test_another_look_at_what_ended_puts_nothing_off(spec: ContainerSpec, state: SeenState) -> None:
    memory = running()
    end = seen(SeenState.EXITED, exit_code=0, finished_at=101.0)
    take_in(memory, end, spec, AROUND, 102.0)
    assert memory.observation.state is state
    before = (memory.due, memory.attempts, memory.observation.reason)
    for now in (103.0, 105.0):
        take_in(memory, end, spec, AROUND, now)
        assert memory.observation.state is state
        assert (memory.due, memory.attempts, memory.observation.reason) == before


def test_who_was_started_from_outside_runs() -> None:
    memory = running()
    spec = ContainerSpec("i", restart_policy=RestartPolicy("always"))
    take_in(memory, seen(SeenState.EXITED, exit_code=1, finished_at=101.0), spec, AROUND, 102.0)
    take_in(memory, seen(SeenState.RUNNING), spec, AROUND, 103.0)
    assert memory.observation.state is SeenState.RUNNING
    assert memory.due is None
    assert memory.observation.reason == ""
