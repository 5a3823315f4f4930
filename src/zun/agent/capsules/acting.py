# SPDX-License-Identifier: Apache-2.0
"""What is done in the engine for a capsule: its sandbox, and its containers with the hands that other containers are made with."""

import logging
from collections.abc import Callable

import msgspec

from zun.agent.capsules.seeing import has_begun, take_in_child, take_in_sandbox, wait_again
from zun.agent.memory import Memory
from zun.agent.observing import plan_restart
from zun.agent.operations.job import Job, Steps
from zun.agent.operations.making import make
from zun.agent.operations.start import run_object
from zun.agent.request import engine_networks, exposed_of, first_addresses
from zun.agent.tools import Tools
from zun.drivers.runtime.types import ContainerRequest, SandboxRequest
from zun.model.capsule import child_claim, child_shares
from zun.model.children import Child
from zun.model.errors import Conflict, NotFound, Timeout, Unavailable, ZunError
from zun.model.records import Inbox, SeenState
from zun.telemetry.metrics import RESTARTS

_log = logging.getLogger(__name__)

_LONGEST_HOSTNAME = 63


class ChildJob(Job):
    """Work on one container of a capsule."""

    def __init__(
        self,
        tools: Tools,
        capsule: Inbox,
        sandbox: str,
        number: int,
        *,
        memory: Memory,
        steps: Steps,
        told: Callable[[], None],
    ) -> None:
        self.child: Child = capsule.children[number]
        alone = Inbox(
            uuid=self.child.uuid,
            generation=capsule.generation,
            project_id=capsule.project_id,
            spec=self.child.spec,
            claim=child_claim(self.child),
            seq=capsule.seq,
            intents=[],
            image_source=self.child.image_source,
            placed_at=capsule.placed_at,
        )
        super().__init__(tools, alone, memory, steps=steps)
        self._capsule = capsule.uuid
        self._sandbox = sandbox
        self._told = told

    def request(self, file_paths: dict[int, str]) -> ContainerRequest:
        """It is on the sandbox's networks, which serve its ports."""
        plain = super().request(file_paths)
        return msgspec.structs.replace(
            plain,
            sandbox=self._sandbox,
            capsule=self._capsule,
            networks=(),
            exposed_ports=[],
            hostname=None,
            cpu_shares=child_shares(self.child),
            published=(),
        )

    async def prepare_network(self) -> None:
        """Its sandbox's was prepared, and is its own."""

    async def look(self, why: str = "") -> None:
        """See how it is. `why` it has ended, when the agent ended it."""
        looked_at = self.tools.clock.now()
        seen = await self.tools.engine.inspect(self.memory.handle) if self.memory.handle else None
        if seen is not None and why and seen.state is SeenState.EXITED:
            seen = msgspec.structs.replace(seen, error=why)
        take_in_child(self.memory, seen, self.child, self.tools.around, looked_at)

    def tell(self) -> None:
        """What is told of it is told with its capsule."""
        self._told()


async def make_sandbox(tools: Tools, wanted: Inbox, memory: Memory, steps: Steps) -> None:
    """The sandbox is there and ready. A failure is remembered, and what may pass is tried again later."""
    request = SandboxRequest(
        uuid=wanted.uuid,
        generation=wanted.generation,
        project_id=wanted.project_id,
        hostname=wanted.spec.name[:_LONGEST_HOSTNAME] or None,
        runtime=wanted.spec.runtime,
        privileged=any(child.spec.privileged for child in wanted.children),
        exposed_ports=exposed_of(wanted),
        published=tuple(wanted.published),
        networks=engine_networks(wanted, memory),
        unplugged=wanted.attachments is not None,
        addresses=first_addresses(wanted),
    )
    try:
        with steps.step("sandbox"):
            await tools.touch.permission(None)
            await tools.plugs.prepare(wanted)
            handle = await _sandbox(tools, request)
            looked_at = tools.clock.now()
            seen = await tools.engine.inspect_sandbox(handle)
    except ZunError as error:
        _failed(tools, memory, error)
        return
    memory.observation.error, memory.due = "", None
    take_in_sandbox(memory, seen, tools.around, looked_at)


async def _sandbox(tools: Tools, request: SandboxRequest) -> str:
    """Its handle. One that was left half made, by a call that got no answer and an engine that ended then, makes way."""
    try:
        return await tools.engine.create_sandbox(request)
    except Conflict:
        ended = [one for one in await tools.engine.list_sandboxes(request.uuid) if not one.ready]
        if not ended:
            raise
        for one in ended:
            await tools.engine.remove_sandbox(one.handle)
        raise Unavailable("A sandbox that was left half made was cleared away; another is made.") from None


async def make_child(job: ChildJob) -> None:
    """Its object is there."""
    try:
        await make(job)
        await job.look()
    except ZunError as error:
        _failed(job.tools, job.memory, error)
    else:
        job.memory.observation.error = ""


async def start_child(job: ChildJob) -> None:
    """It was started for the first time. One that is seen to have begun did not fail, whatever was answered."""
    try:
        await run_object(job)
    except NotFound:
        await job.look()
    except ZunError as error:
        if has_begun(job.memory.observation.state):
            _log.info("container %s began although its start failed: %s", job.uuid, error)
        else:
            _failed(job.tools, job.memory, error)
    else:
        job.memory.observation.error = ""


async def restart_child(job: ChildJob) -> None:
    """It was started again under its policy."""
    tools, memory = job.tools, job.memory
    attempts = memory.attempts
    memory.observation.restarts += 1
    tools.meter.count(RESTARTS)
    try:
        await run_object(job)
    except NotFound:
        await job.look()
    except ZunError as error:
        if memory.observation.state is SeenState.RESTARTING:
            plan_restart(memory, attempts, tools.around, tools.clock.now())
        memory.observation.reason = f"It could not be started again: {error.message}"


async def end_child(job: ChildJob, why: str) -> None:
    """It has ended, with the grace that a stop has; then it is as if it had ended by itself. Raises what the engine does: then it is tried again."""
    _log.info("container %s of a capsule is ended. %s", job.uuid, why)
    try:
        await job.tools.engine.stop(job.memory.handle, job.tools.options.stop_timeout_seconds)
    except NotFound:
        _log.info("container %s is gone already", job.uuid)
    await job.look(why)


def _failed(tools: Tools, memory: Memory, error: ZunError) -> None:
    memory.observation.error, memory.due = error.message, None
    memory.observation.pulling = False
    if isinstance(error, Unavailable | Timeout):
        wait_again(memory, tools.around, tools.clock.now())
