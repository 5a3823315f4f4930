# SPDX-License-Identifier: Apache-2.0
"""The probes of a capsule's containers: who is asked where, and who is to be ended for what came of it."""

from collections.abc import Callable
from functools import partial

from zun.agent.memory import Memory
from zun.agent.probing.checks import checks_of_child
from zun.agent.probing.subject import address_of, subject_of
from zun.agent.tools import Tools
from zun.model.records import Inbox, SeenState


class Checking:
    """Of one capsule. `changed` is called with the uuid of a container that is otherwise than before."""

    def __init__(self, tools: Tools, memory: Memory, changed: Callable[[str], None]) -> None:
        self._probing = tools.probing
        self._memory = memory
        self._changed = changed
        self._wanted: Inbox | None = None

    def keep(self, wanted: Inbox | None) -> None:
        """Ask those that run in a sandbox that is there, and nobody else. Doing it again changes nothing, nor does an engine that is away."""
        self._wanted = wanted
        seen = self._memory.observation
        if wanted is not None and seen.state is SeenState.UNKNOWN:
            return
        lives = wanted is not None and wanted.generation == seen.generation and seen.state is SeenState.RUNNING
        checks = (
            {child.uuid: checks_of_child(child) for child in wanted.children} if wanted is not None and lives else {}
        )
        for one in self._memory.children:
            subject = subject_of(one, checks.get(one.uuid, ()), self._address)
            self._probing.keep(one.uuid, subject, partial(self._changed, one.uuid))

    def failing(self) -> dict[str, str]:
        """Why those are to be ended that are."""
        found = {}
        for one in self._memory.children:
            verdict = self._probing.verdict(one.uuid, one.handle, one.observation.started_at)
            if verdict is not None and verdict.ends:
                found[one.uuid] = verdict.why
        return found

    def _address(self) -> str:
        """Of now: another sandbox has another."""
        attachments = self._wanted.attachments if self._wanted is not None else None
        return address_of(attachments, self._memory.observation)
