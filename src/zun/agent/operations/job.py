# SPDX-License-Identifier: Apache-2.0
"""One piece of work on one container, and the hands it is done with: tools, memory, a record of the steps with their times."""

from collections.abc import Iterator
from contextlib import contextmanager

from zun.agent.healing import VANISHED
from zun.agent.memory import ALIVE, Memory
from zun.agent.observing import take_in
from zun.agent.request import container_request
from zun.agent.tools import Tools
from zun.base.clock import Clock
from zun.drivers.runtime.types import ContainerRequest, Credentials, PullProgress, Seen
from zun.model.container import ContainerSpec
from zun.model.errors import NotFound, ZunError
from zun.model.records import ActionEvent, Inbox, Intent, SeenState

SUCCESS, ERROR, INTERRUPTED = "Success", "Error", "Interrupted"

PROGRESS_SECONDS = 2.0
"""A pull's progress is told at most so often: each telling is a write in the store."""


class Steps:
    """The steps of an action, as its history shows them."""

    def __init__(self, clock: Clock, events: list[ActionEvent] | None = None) -> None:
        self._clock = clock
        self.events: list[ActionEvent] = list(events or [])

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record a step: when it began, when and how it ended. One that is cut off is `Interrupted`."""
        place = len(self.events)
        start = self._clock.now()
        self.events.append(ActionEvent(name, start))
        outcome, detail = INTERRUPTED, None
        try:
            yield
            outcome = SUCCESS
        except ZunError as error:
            outcome, detail = ERROR, error.message
            raise
        finally:
            self.events[place] = ActionEvent(name, start, self._clock.now(), outcome, detail)


async def notice_watchdog(tools: Tools, memory: Memory, seen: Seen | None) -> None:
    """Remember it when a container that has ended was stopped by the watchdog: it is to run again."""
    ended = seen is not None and seen.state is SeenState.EXITED
    if ended and memory.guarded and memory.observation.state in ALIVE:
        memory.fenced = memory.fenced or await tools.guards.was_killed(memory.uuid, memory.handle)


class Job:
    """What an operation gets. `intent` is None for what the agent does unasked; `resumed`: it was begun before a crash."""

    def __init__(
        self,
        tools: Tools,
        wanted: Inbox,
        memory: Memory,
        *,
        intent: Intent | None = None,
        steps: Steps | None = None,
        resumed: bool = False,
        start_follows: bool = False,
    ) -> None:
        self.tools = tools
        self.wanted = wanted
        self.memory = memory
        self.intent = intent
        self.steps = steps or Steps(tools.clock)
        self.resumed = resumed
        self.start_follows = start_follows
        self._blobs: dict[int, bytes] | None = None
        self._told_at = 0.0

    @property
    def uuid(self) -> str:
        """The container."""
        return self.wanted.uuid

    @property
    def spec(self) -> ContainerSpec:
        """How it is wished."""
        return self.wanted.spec

    @property
    def guard_seconds(self) -> float | None:
        """The delay after which it may be placed elsewhere, when the node guards it."""
        return self.wanted.heal_delay_seconds if self.memory.guarded else None

    def request(self, file_paths: dict[int, str]) -> ContainerRequest:
        """What the engine is asked to make; `file_paths` are those of the injected files. Raises `Invalid`."""
        engine = self.tools.engine
        return container_request(
            self.wanted, self.memory, file_paths, engine.shared_cpus, checks_health=engine.checks_health
        )

    async def prepare_network(self) -> None:
        """Whoever plugs it in knows into what. Raises `Conflict`, and what the network port raises."""
        await self.tools.plugs.prepare(self.wanted)

    async def look(self) -> None:
        """See how it is."""
        looked_at = self.tools.clock.now()
        seen = await self.tools.engine.inspect(self.memory.handle) if self.memory.handle else None
        await notice_watchdog(self.tools, self.memory, seen)
        take_in(self.memory, seen, self.spec, self.tools.around, looked_at)

    def tell(self) -> None:
        """Let the control plane know how things stand, should it last."""
        self.tools.reporter.observe(self.memory.observation, lazy=True)

    def existing(self) -> str:
        """The engine's handle. Raises `NotFound` when there is no object to act on."""
        if not self.memory.handle:
            raise NotFound(f"Container {self.uuid} has nothing running or stopped on its node. {VANISHED}")
        return self.memory.handle

    async def find_handle(self) -> str:
        """The handle, asking the engine when it is not known: an answer to a creation may have been lost."""
        if not self.memory.handle:
            for seen in await self.tools.engine.list():
                if (seen.uuid, seen.generation) == (self.uuid, self.wanted.generation):
                    take_in(self.memory, seen, self.spec, self.tools.around, self.tools.clock.now())
        return self.memory.handle

    async def blobs(self) -> dict[int, bytes]:
        """The container's sealed things, fetched once."""
        if self._blobs is None:
            self._blobs = await self.tools.files.fetch(self.uuid)
        return self._blobs

    async def login(self) -> Credentials:
        """The login at the image's registry."""
        return self.tools.files.login(await self.blobs(), self.wanted.files)

    def pulling(self, progress: PullProgress) -> None:
        """A pull goes on."""
        observation, now = self.memory.observation, self.tools.clock.monotonic()
        observation.pulling, observation.reason = True, progress.text
        if now - self._told_at >= PROGRESS_SECONDS:
            self._told_at = now
            self.tell()
