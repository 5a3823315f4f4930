# SPDX-License-Identifier: Apache-2.0
"""When an ended container is started again: the agent decides, the same way on every engine.

Waits double from `restart_delay_seconds` to a cap while a container keeps ending soon, so a flapping one costs little;
who ran well begins with the first wait again.
"""

import msgspec

from zun.agent.options import AgentOptions
from zun.base.backoff import Backoff
from zun.model.container import RestartPolicy


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a container ended. `restarts`: since its user started it; `attempts`: since it last ran well.

    `rebooted`: the machine started anew meanwhile; `ran`: it ran before that.
    """

    exit_code: int | None
    user_stopped: bool
    ran_seconds: float
    restarts: int = 0
    attempts: int = 0
    rebooted: bool = False
    ran: bool = True


def decide_restart(policy: RestartPolicy | None, ended: Ended, *, well_seconds: float) -> int | None:
    """The number of this restart since the container last ran well (0: the first); None: it stays down."""
    name = policy.name if policy is not None else "no"
    if name == "always" and ended.rebooted:
        return 0
    if name == "no" or ended.user_stopped or not ended.ran:
        return None
    if name == "on-failure" and not ended.rebooted:
        limit = policy.max_retries if policy is not None else 0
        if ended.exit_code == 0 or (limit and ended.restarts >= limit):
            return None
    if name not in {"always", "unless-stopped", "on-failure"}:
        return None
    return 0 if ended.rebooted or ended.ran_seconds >= well_seconds else ended.attempts


def restart_waits(options: AgentOptions) -> Backoff:
    """How long to wait before restart number n."""
    return Backoff(options.restart_delay_seconds, 2.0, options.restart_delay_cap_seconds, jitter=0.1)
