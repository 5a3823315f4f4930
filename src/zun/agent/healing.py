# SPDX-License-Identifier: Apache-2.0
"""When a container whose object vanished from the engine is made again."""

from zun.agent.options import AgentOptions
from zun.base.backoff import Backoff


def decide_heal(*, auto_heal: bool, heals: int, attempts: int) -> int | None:
    """The number of this healing (0: the first); None: it is not made again."""
    return heals if auto_heal and heals < attempts else None


def heal_waits(options: AgentOptions) -> Backoff:
    """How long to wait before healing number n."""
    return Backoff(options.heal_delay_seconds, 2.0, options.heal_delay_cap_seconds, jitter=0.1)


def gave_up(heals: int) -> str:
    """What the owner reads when healing did not help."""
    return (
        f"The container vanished from its node again and again; it was made anew {heals} times. "
        "Find out who removes it, then rebuild it."
    )


VANISHED = "The container vanished from its node: somebody removed it there. Start or rebuild it to make it again."
