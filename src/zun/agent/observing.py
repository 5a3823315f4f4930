# SPDX-License-Identifier: Apache-2.0
"""What a look at the engine means: the pure step from "seen" to what is known and reported of a container.

Nothing is assumed about a state; it is seen. What follows from it (start again, make again, remove) is decided here once,
at the transition, and remembered as `due`, so that another look changes nothing.
"""

import msgspec

from zun.agent.healing import VANISHED, decide_heal, gave_up, heal_waits
from zun.agent.memory import ALIVE, Memory
from zun.agent.options import AgentOptions
from zun.agent.restarts import Ended, decide_restart, restart_waits
from zun.base.backoff import Backoff
from zun.drivers.runtime.types import Seen
from zun.model.container import ContainerSpec
from zun.model.records import SeenState
from zun.model.states import Health


class Around(msgspec.Struct, frozen=True):
    """What does not depend on the container."""

    options: AgentOptions
    boot_id: str
    restart_waits: Backoff
    heal_waits: Backoff

    @classmethod
    def of(cls, options: AgentOptions, boot_id: str) -> "Around":
        """With the waits that the options ask for."""
        return cls(options, boot_id, restart_waits(options), heal_waits(options))


def take_in(memory: Memory, seen: Seen | None, spec: ContainerSpec | None, around: Around, now: float) -> None:
    """Bring `memory` to what was seen (None: the engine has no such object)."""
    if seen is None:
        _absent(memory, spec, around, now)
        return
    observation = memory.observation
    observation.at = now
    observation.runtime_id = seen.handle
    observation.created_at = seen.created_at
    observation.started_at = seen.started_at
    observation.finished_at = seen.finished_at
    observation.exit_code = seen.exit_code
    observation.health = health_of(seen, checked=spec is not None and spec.healthcheck is not None)
    observation.addresses = list(seen.addresses)
    observation.ports = list(seen.ports)
    memory.pid = seen.pid
    if seen.state is SeenState.EXITED:
        _ended(memory, seen, spec, around, now)
        return
    observation.state = seen.state
    observation.reason = seen.error if seen.state is not SeenState.RUNNING else seen.unwell
    memory.due = None
    memory.ran = seen.state in ALIVE or (seen.state is SeenState.UNKNOWN and memory.ran)
    memory.boot_id = around.boot_id


def health_of(seen: Seen, *, checked: bool) -> str | None:
    """Only what runs has a health; what is `checked` and was not asked yet is starting."""
    if seen.state not in {SeenState.RUNNING, SeenState.PAUSED}:
        return None
    return seen.health or (Health.STARTING.value if checked else None)


def _ended(memory: Memory, seen: Seen, spec: ContainerSpec | None, around: Around, now: float) -> None:
    observation = memory.observation
    before = observation.state
    rebooted = memory.boot_id not in {"", around.boot_id}
    memory.boot_id = around.boot_id
    if before is SeenState.RESTARTING and memory.due is not None:
        return
    if before is SeenState.EXITED and not rebooted:
        return
    observation.reason = _why(seen)
    observation.state = SeenState.EXITED
    healed = _why_healed(memory, before, rebooted=rebooted)
    if healed:
        observation.state, observation.reason, memory.due, memory.ran = SeenState.RESTARTING, healed, now, True
        return
    well = around.options.restart_well_seconds
    ran_seconds = max(0.0, (seen.finished_at or now) - (seen.started_at or now))
    ended = Ended(
        exit_code=seen.exit_code,
        user_stopped=memory.user_stopped,
        ran_seconds=ran_seconds,
        restarts=observation.restarts,
        attempts=memory.attempts,
        rebooted=rebooted,
        ran=memory.ran or before in ALIVE,
    )
    memory.ran = False
    attempt = decide_restart(spec.restart_policy if spec else None, ended, well_seconds=well)
    if attempt is not None and spec is not None and not spec.auto_remove:
        plan_restart(memory, attempt, around, now, at_once=rebooted)
        return
    removes = spec is not None and spec.auto_remove and seen.started_at is not None
    memory.due = now + around.options.auto_remove_linger_seconds if removes else None


def plan_restart(memory: Memory, attempt: int, around: Around, now: float, *, at_once: bool = False) -> None:
    """The container is to be started again after the wait of its attempt."""
    observation = memory.observation
    memory.attempts = attempt + 1
    memory.due = now if at_once else now + around.restart_waits.delay(attempt)
    memory.ran = True
    observation.state = SeenState.RESTARTING
    code = "" if observation.exit_code is None else f" with exit code {observation.exit_code}"
    why = f" ({observation.reason})" if observation.reason else ""
    observation.reason = f"Ended{code}{why}; it is started again under its restart policy."


def _absent(memory: Memory, spec: ContainerSpec | None, around: Around, now: float) -> None:
    observation = memory.observation
    before = observation.state
    if before in {SeenState.ABSENT, SeenState.GONE, SeenState.MISSING}:
        return
    observation.at = now
    observation.runtime_id = ""
    observation.addresses, observation.ports, observation.health = [], [], None
    if spec is not None and spec.auto_remove and observation.started_at is not None:
        observation.state, observation.reason, memory.due = SeenState.GONE, "", None
        return
    observation.state, observation.reason = SeenState.MISSING, VANISHED
    if now - memory.healed_at >= around.options.heal_well_seconds:
        memory.heals = 0
    plan_heal(memory, spec, around, now)


def plan_heal(memory: Memory, spec: ContainerSpec | None, around: Around, now: float) -> None:
    """The vanished container is to be made again, or it is given up."""
    auto_heal = spec is not None and spec.auto_heal
    attempt = decide_heal(auto_heal=auto_heal, heals=memory.heals, attempts=around.options.heal_attempts)
    memory.due = now + around.heal_waits.delay(attempt) if attempt is not None else None
    if attempt is None and auto_heal:
        memory.observation.reason = gave_up(memory.heals)


def _why_healed(memory: Memory, before: SeenState, *, rebooted: bool) -> str:
    """Why it is started again whatever its restart policy says; empty: it is not. Had its node been away a little longer, it ran elsewhere now."""
    if not memory.ran and before not in ALIVE:
        return ""
    if memory.fenced:
        return OUT_OF_TOUCH
    return REBOOTED if rebooted and memory.guarded and not memory.user_stopped else ""


REBOOTED = "Its machine was restarted; it is started again, since it heals."
OUT_OF_TOUCH = "Stopped because its node lost touch with the control plane, which may have it run elsewhere; it is started again when that is settled."


def _why(seen: Seen) -> str:
    if seen.oom_killed:
        return "It used more memory than it may and was killed"
    return seen.error
