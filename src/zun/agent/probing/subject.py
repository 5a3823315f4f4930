# SPDX-License-Identifier: Apache-2.0
"""Who is asked: one run of one container. Pure."""

from collections.abc import Callable, Iterable

import msgspec

from zun.agent.memory import Memory
from zun.agent.probing.checks import Check
from zun.model.attachments import Attachment
from zun.model.records import Observation, SeenState
from zun.model.states import Health

_ASKED = frozenset({SeenState.RUNNING, SeenState.PAUSED})


class Subject(msgspec.Struct, frozen=True):
    """One run of a container; started again it is another. `known`: HEALTHY when this run was that before, as an earlier life of the agent
    found out; nothing else is remembered.

    `address` finds where it is asked over the network, "" while it has no address.
    """

    uuid: str
    handle: str
    started_at: float | None
    checks: tuple[Check, ...]
    address: Callable[[], str] = lambda: ""
    known: Health = Health.STARTING
    paused: bool = False

    @property
    def run(self) -> tuple[str, float | None]:
        """What sets one run apart from another."""
        return self.handle, self.started_at


def subject_of(memory: Memory, checks: tuple[Check, ...], address: Callable[[], str] = lambda: "") -> Subject | None:
    """A container as it was seen last; None when it does not run or has no checks."""
    seen = memory.observation
    if not checks or seen.state not in _ASKED or not memory.handle:
        return None
    return Subject(
        uuid=memory.uuid,
        handle=memory.handle,
        started_at=seen.started_at,
        checks=checks,
        address=address,
        known=Health.HEALTHY if seen.health == Health.HEALTHY else Health.STARTING,
        paused=seen.state is SeenState.PAUSED,
    )


def address_of(attachments: Iterable[Attachment] | None, seen: Observation) -> str:
    """Where a sandbox is reached from its node: what the control plane gave it, else what the engine shows; IPv4 first."""
    if attachments is not None:
        addresses = [(one.version, one.addr) for attachment in attachments for one in attachment.addresses]
    else:
        addresses = [(one.version, one.addr) for one in seen.addresses]
    return min(addresses, default=(0, ""), key=lambda one: one[0])[1]
