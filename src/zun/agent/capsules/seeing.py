# SPDX-License-Identifier: Apache-2.0
"""What a look at a capsule's sandbox and containers means: the pure steps from "seen" to what is known and told."""

import msgspec

from zun.agent.memory import ALIVE, Memory, fresh
from zun.agent.observing import Around, health_of, take_in
from zun.drivers.runtime.types import SandboxSeen, Seen
from zun.model.children import Child
from zun.model.records import Inbox, Observation, SeenState

LOST = "What holds its containers together was lost on its node; they are made anew."
CUT_OFF = "It ended with its sandbox, which was lost on its node"
IN_LIMBO = "Its engine was killed and does not know what became of it"
GONE_AWAY = "It vanished from its node: somebody removed it there"


def told(memory: Memory) -> Observation:
    """The capsule's observation as the control plane gets it, with those of its containers."""
    children = [msgspec.structs.replace(one.observation, at=0.0) for one in memory.children]
    looked_at = max([memory.observation.at, *(one.observation.at for one in memory.children)])
    return msgspec.structs.replace(memory.observation, children=children, at=looked_at)


def take_in_child(memory: Memory, seen: Seen | None, child: Child, around: Around, now: float) -> None:
    """Bring one container's memory to what was seen (None: the engine has no such object).

    What has ended and stays so needs no object any more; what vanished otherwise is made again, unless the policy is to start nothing again.
    """
    observation = memory.observation
    if seen is None:
        _vanished(memory, child, around, now)
        return
    if seen.state is SeenState.UNKNOWN:
        _in_limbo(memory, seen, child, around, now)
        return
    if seen.state is SeenState.EXITED and observation.state in {SeenState.ABSENT, SeenState.CREATED}:
        memory.ran = True  # the agent that started it did not live to see its end
    due = memory.due
    take_in(memory, seen, child.spec, around, now)
    observation.health = health_of(seen, checked=child.probes is not None)
    if observation.error and observation.state is SeenState.CREATED:
        memory.due = due  # its start failed, and is tried again then
    observation.ports = sorted({*seen.ports, *(int(port.partition("/")[0]) for port in child.spec.exposed_ports)})
    if has_begun(seen.state):
        observation.error = ""  # of a start whose answer was lost, for instance


def has_begun(state: SeenState) -> bool:
    """Whether a container that is so was started, whatever was told of the attempt."""
    return state in ALIVE or state in {SeenState.EXITED, SeenState.RESTARTING}


def _in_limbo(memory: Memory, seen: Seen, child: Child, around: Around, now: float) -> None:
    """The engine has it, and knows neither whether it runs nor how it ended: it was killed while it started it. It will never know
    better; a start clears that up."""
    observation = memory.observation
    ran = memory.ran or observation.state in ALIVE
    observation.runtime_id, observation.at, memory.pid = seen.handle, now, 0
    if observation.state is SeenState.EXITED:
        return
    if ran and _ends(child):
        observation.state, observation.reason, observation.exit_code = SeenState.EXITED, IN_LIMBO, None
        observation.finished_at, memory.due, memory.ran = now, None, False
        return
    observation.state, observation.reason = SeenState.RESTARTING if ran else SeenState.CREATED, IN_LIMBO
    if memory.due is None:
        wait_again(memory, around, now)


def _vanished(memory: Memory, child: Child, around: Around, now: float) -> None:
    observation = memory.observation
    ran = memory.ran or observation.state in ALIVE
    observation.runtime_id, memory.pid = "", 0
    if observation.state in {SeenState.ABSENT, SeenState.EXITED, SeenState.MISSING}:
        return
    observation.health = None
    if ran and _ends(child):
        observation.state, observation.reason, observation.exit_code = SeenState.EXITED, GONE_AWAY, None
        observation.finished_at, memory.due, memory.ran = now, None, False
        return
    observation.state, observation.reason = SeenState.MISSING, GONE_AWAY
    wait_again(memory, around, now)


def take_in_sandbox(memory: Memory, seen: SandboxSeen | None, around: Around, now: float) -> None:
    """Bring the capsule's memory to how its sandbox is (None: the engine has none)."""
    observation = memory.observation
    observation.at, observation.error = now, ""
    if seen is not None and seen.ready:
        observation.runtime_id, observation.state = seen.handle, SeenState.RUNNING
        observation.reason, observation.created_at = "", seen.created_at
        observation.addresses = list(seen.addresses)
        memory.boot_id = around.boot_id
        return
    lived = now - observation.created_at if observation.created_at is not None else 0.0
    observation.addresses = []
    if all(one.observation.state is SeenState.EXITED for one in memory.children):
        observation.state, observation.runtime_id, observation.reason = SeenState.ABSENT, "", ""
        return
    observation.state, observation.reason = SeenState.MISSING, LOST
    if lived >= around.options.restart_well_seconds:
        memory.attempts = 0
    wait_again(memory, around, now)


def begin_anew(memory: Memory, wanted: Inbox) -> None:
    """Nothing of the lost sandbox is left: what is to run is made again from the beginning, init containers first."""
    observation = memory.observation
    observation.state, observation.runtime_id, observation.reason = SeenState.ABSENT, "", ""
    memory.due = None
    pairs = list(zip(wanted.children, memory.children, strict=True))
    for child, one in pairs:
        if one.observation.state in ALIVE and _ends(child):
            seen = one.observation
            seen.state, seen.reason, seen.exit_code, seen.runtime_id = SeenState.EXITED, CUT_OFF, None, ""
            one.due, one.ran = None, False
    again = any(not child.init and one.observation.state is not SeenState.EXITED for child, one in pairs)
    for number, (child, one) in enumerate(pairs):
        if again and (child.init or one.observation.state is not SeenState.EXITED) and not _lost(child, one):
            memory.children[number] = _anew(one)


def _lost(child: Child, one: Memory) -> bool:
    """Whether it is an init container that was cut off and whose policy forbids to run it again."""
    return child.init and one.observation.reason == CUT_OFF and _ends(child)


def _anew(before: Memory) -> Memory:
    again = fresh(before.uuid, before.observation.generation)
    again.observation.restarts = before.observation.restarts + (before.observation.state in ALIVE)
    again.attempts = before.attempts
    return again


def wait_again(memory: Memory, around: Around, now: float) -> None:
    """Try again after a wait that grows from one time to the next."""
    memory.due = now + around.restart_waits.delay(memory.attempts)
    memory.attempts += 1


def _ends(child: Child) -> bool:
    policy = child.spec.restart_policy
    return policy is None or policy.name == "no"
