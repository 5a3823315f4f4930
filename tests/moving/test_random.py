# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to machines, agents, cables and leaders, in whatever order: no container runs twice beyond what the protocol allows
(docs/decisions/0028), and when all is well again every container is where it should be, once, and nothing is left over.

`make moving-storm` runs many more rounds than the tests do; a failing round is printed as a program of the rules below.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from moving.cloud import DELAY, Cloud
from support.virtual_time import VirtualLoop
from zun.model.container import RestartPolicy
from zun.model.errors import ZunError
from zun.model.states import Status

T = TypeVar("T")

ROUNDS = int(os.environ.get("ZUN_MOVING_ROUNDS", "6"))
STEPS = int(os.environ.get("ZUN_MOVING_STEPS", "25"))
NAMES = ["n1", "n2", "n3", "n4"]
MACHINES = st.sampled_from(NAMES)
SECONDS = st.sampled_from([0.3, 2.0, 8.0, 15.0, 45.0, DELAY - 10, DELAY, DELAY + 12, 150.0])


class Storm(RuleBasedStateMachine):
    """A cloud, and everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._loop = VirtualLoop()
        self.cloud: Cloud | None = None
        self.wished: dict[str, bool] = {}  # acknowledged containers, and whether they are to run
        self.unsure: set[str] = set()  # those of which it is not known whether their deletion was accepted

    def do(self, what: Awaitable[T]) -> T:
        async def doing() -> T:
            return await what

        return self._loop.run_until_complete(doing())

    @initialize()
    def begins(self) -> None:
        async def begin() -> Cloud:
            cloud = Cloud(Path(self._directory.name), NAMES)
            await cloud.begin()
            return cloud

        self.cloud = self.do(begin())

    @property
    def here(self) -> Cloud:
        assert self.cloud is not None
        return self.cloud

    # people

    @rule(heal=st.booleans() | st.just(True), run=st.booleans() | st.just(True))
    def somebody_creates_a_container(self, heal: bool, run: bool) -> None:
        policy = None if heal else RestartPolicy("always")
        uuid = self.do(self.here.create(heal=heal, run=run, restart_policy=policy))
        self.wished[uuid] = run

    @precondition(lambda self: self.wished)
    @rule(data=st.data())
    def somebody_deletes_a_container(self, data: st.DataObject) -> None:
        uuid = list(self.wished)[data.draw(st.integers(0, len(self.wished) - 1))]
        try:
            self.do(self.here.delete(uuid))
        except ZunError:
            return  # refused: it stays
        del self.wished[uuid]

    @rule(name=MACHINES)
    def an_operator_drains_a_node(self, name: str) -> None:
        self.do(self.here.drain(name))

    @rule(name=MACHINES)
    def an_operator_undrains_a_node(self, name: str) -> None:
        self.do(self.here.undrain(name))

    @rule(name=MACHINES, forced=st.booleans())
    def an_operator_declares_a_node_down_or_not(self, name: str, forced: bool) -> None:
        self.do(self.here.force_down(name, forced=forced))

    # accidents

    @rule(name=MACHINES)
    def a_cable_is_cut(self, name: str) -> None:
        self.do(_at_once(self.here.machines[name].cable.cut))

    @rule(name=MACHINES)
    def a_cable_is_mended(self, name: str) -> None:
        self.do(_at_once(self.here.machines[name].cable.mend))

    @rule(name=MACHINES)
    def a_machine_loses_its_power(self, name: str) -> None:
        self.do(self.here.machines[name].power_off())

    @rule(name=MACHINES)
    def an_agent_is_killed(self, name: str) -> None:
        self.do(self.here.machines[name].kill_agent())

    @rule(name=MACHINES)
    def an_agent_is_stopped_on_purpose(self, name: str) -> None:
        self.do(self.here.machines[name].stop_agent())

    @rule(name=MACHINES)
    def a_machine_comes_back(self, name: str) -> None:
        self.do(self._back(name))

    @rule(name=MACHINES)
    def an_agent_freezes(self, name: str) -> None:
        self.do(_at_once(self.here.machines[name].freeze_agent))

    @rule(name=MACHINES)
    def an_agent_thaws(self, name: str) -> None:
        machine = self.here.machines[name]
        if not machine.asleep:
            self.do(_at_once(machine.thaw_agent))

    @rule(name=MACHINES)
    def a_machine_falls_asleep(self, name: str) -> None:
        self.do(_at_once(self.here.machines[name].sleep))

    @rule(name=MACHINES)
    def a_machine_wakes(self, name: str) -> None:
        self.do(_at_once(self.here.machines[name].wake))

    @rule()
    def the_leader_is_lost(self) -> None:
        self.do(self.here.lose_leader())

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.do(self.here.pass_time(seconds))

    @invariant()
    def nothing_runs_twice_and_nobody_fails(self) -> None:
        if self.cloud is not None:
            self.do(self.cloud.pass_time(0.3))

    def teardown(self) -> None:
        try:
            if self.cloud is not None:
                self.do(self._all_is_well_again())
        finally:
            if self.cloud is not None:
                self.do(self.cloud.close())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._directory.cleanup()

    async def _back(self, name: str) -> None:
        machine = self.here.machines[name]
        machine.wake()
        if not machine.powered:
            machine.power_on()
        elif not machine.works:
            machine.start_agent()

    async def _all_is_well_again(self) -> None:
        cloud = self.here
        for name, machine in cloud.machines.items():
            await self._back(name)
            machine.thaw_agent()
            machine.cable.mend()
            await cloud.undrain(name)
            await cloud.force_down(name, forced=False)
        try:
            await cloud.until(lambda: not self._unsettled(), "everything is as wished", seconds=600)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._unsettled()}") from error
        await cloud.pass_time(20)
        assert self._unsettled() == []
        assert await cloud.orders() == []
        said, held = cloud.usage()
        assert said == held

    def _unsettled(self) -> list[str]:
        cloud = self.here
        found = [
            f"{entry.uuid} should be gone: {entry.place()}, {entry.seen()}, {entry.record().intents}"
            for entry in cloud.view.containers()
            if entry.uuid not in self.wished
        ]
        for uuid, run in self.wished.items():
            derived = cloud.derived(uuid)
            if self._never_had_a_node(uuid):
                continue
            expected = {Status.RUNNING} if run else {Status.CREATED}
            if derived.status not in expected or derived.task_state is not None:
                found.append(f"{uuid} is {derived}")
            elif cloud.entry(uuid).may_be_leaving:
                found.append(f"{uuid} leaves")
            elif run and cloud.homes(uuid) != [cloud.node_of(uuid)]:
                found.append(f"{uuid} runs on {cloud.homes(uuid)}, not on {cloud.node_of(uuid)}")
        objects = cloud.objects()
        found += [
            f"{uuid} has {number} objects" for uuid, number in objects.items() if number != 1 or uuid not in self.wished
        ]
        return found

    def _never_had_a_node(self, uuid: str) -> bool:
        """It came when no node could have it, which is an error that only its user's next word ends."""
        place = self.here.entry(uuid).place()
        return place is not None and not place.node and place.resume is None and place.failure is not None


async def _at_once(happens: "object") -> None:
    happens()  # type: ignore[operator]


TestStorm = pytest.mark.timeout(120 + 3 * ROUNDS)(Storm.TestCase)
TestStorm.settings = settings(
    max_examples=ROUNDS,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # shrinking takes many minutes; the program is short enough to read
)
asyncio.set_event_loop(None)
