# SPDX-License-Identifier: Apache-2.0
"""The beginning of an agent's life: containers ran on meanwhile, and four sources say what is to become of them.

The inbox says what is wished; the journal and what the control plane was told say what was done; the engine says what is
there. Nothing is begun before all four are read.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from zun.agent.capsules.recovery import reconcile_capsule
from zun.agent.files import Files
from zun.agent.found import Found
from zun.agent.memory import Memory, copy_observation, fresh_with
from zun.agent.supervisor import Supervisor
from zun.base.backoff import Backoff
from zun.base.clock import Clock
from zun.model.children import RecordKind
from zun.model.errors import Timeout, Unavailable, ZunError
from zun.model.records import Inbox, Observation, SeenState, Verb
from zun.store.nodelink import InboxBatch, Remembered

T = TypeVar("T")
_log = logging.getLogger(__name__)


async def patiently(what: str, clock: Clock, call: Callable[[], Awaitable[T]]) -> T:
    """Try until the other side is there: without it an agent can do nothing at all."""
    waits = Backoff(first_seconds=0.2, cap_seconds=5.0)
    failures = 0
    while True:
        try:
            return await call()
        except (Unavailable, Timeout) as error:
            _log.warning("%s: %s", what, error)
        await clock.sleep(waits.delay(failures))
        failures += 1


def adopt_all(
    supervisor: Supervisor,
    inbox: InboxBatch,
    remembered: Remembered,
    memories: dict[str, Memory],
    engine: Found,
) -> None:
    """Give every container and capsule that anybody knows to the supervisor. Damaged inbox entries are left alone."""
    objects = engine.by_owner()
    uuids = set(inbox.containers) | set(memories) | set(remembered.observations) | set(objects)
    uuids |= set(remembered.results)
    for uuid in sorted(uuids | inbox.damaged):
        memory = reconcile(
            uuid,
            inbox.containers.get(uuid),
            memories.get(uuid),
            remembered.observations.get(uuid),
            _not_later(objects.get(uuid, Found()), inbox.containers.get(uuid)),
        )
        if uuid in inbox.damaged:
            supervisor.set_aside(memory)
        else:
            supervisor.adopt(memory, inbox.containers.get(uuid), remembered.results.get(uuid, ()))


def reconcile(
    uuid: str,
    wanted: Inbox | None,
    memory: Memory | None,
    told: Observation | None,
    found: Found,
) -> Memory:
    """What is known of one container or capsule: the journal, completed by what was told and what the engine has."""
    if memory is not None and wanted is not None and memory.observation.generation > wanted.generation:
        memory = None  # of a future that the store does not know: it was put back to an earlier state
    if _is_capsule(wanted, memory, told, found):
        memory = reconcile_capsule(uuid, wanted, memory, told, found)
    else:
        memory = _reconcile_container(uuid, wanted, memory, told, found)
    if wanted is not None and memory.observation.intent_done > wanted.seq and not wanted.absent:
        _put_back(memory, wanted.seq)
    return memory


def _reconcile_container(
    uuid: str,
    wanted: Inbox | None,
    memory: Memory | None,
    told: Observation | None,
    found: Found,
) -> Memory:
    if memory is None or (told is not None and told.generation > memory.observation.generation):
        memory = _without_journal(uuid, wanted, told, found)
    elif told is not None and told.generation == memory.observation.generation:
        _catch_up(memory, told)
    memory.observation.doing, memory.observation.pulling = 0, False
    memory.guarded = memory.guarded or memory.observation.guarded
    for seen in found.containers:
        if seen.generation == memory.observation.generation:
            memory.observation.runtime_id = seen.handle
    return memory


def _is_capsule(wanted: Inbox | None, memory: Memory | None, told: Observation | None, found: Found) -> bool:
    if wanted is not None:
        return wanted.kind is RecordKind.CAPSULE
    known = (memory is not None and memory.capsule) or (told is not None and bool(told.children))
    return known or bool(found.sandboxes) or any(seen.capsule for seen in found.containers)


def _catch_up(memory: Memory, told: Observation) -> None:
    """A report that arrived although the journal's last lines were lost knows more than the journal: that an object is away
    because it was deleted, say, and did not vanish."""
    if told.intent_done > memory.observation.intent_done:
        memory.observation = copy_observation(told)
    begun = memory.begun
    if begun is None or begun.n > memory.observation.intent_done:
        return
    memory.begun = None
    if begun.verb is Verb.STOP or (begun.verb is Verb.KILL and told.state is SeenState.EXITED):
        memory.user_stopped = True
    elif begun.verb in {Verb.START, Verb.REBOOT}:
        memory.user_stopped = False


def _not_later(found: Found, wanted: Inbox | None) -> Found:
    """Without what is of a generation that the store does not know."""
    return found if wanted is None else found.not_later(wanted.generation)


def _put_back(memory: Memory, seq: int) -> None:
    """The store was put back to an earlier state: later intents, which will be others, get the numbers of what was done since."""
    memory.observation.intent_done = seq
    if memory.begun is not None and memory.begun.n > seq:
        memory.begun = None


def _without_journal(uuid: str, wanted: Inbox | None, told: Observation | None, found: Found) -> Memory:
    if told is not None:
        memory = Memory(copy_observation(told), networks=told.networks)
        if wanted is not None and told.state is SeenState.ABSENT and wanted.generation == told.generation:
            memory.resume = wanted.resume
        return memory
    return fresh_with(uuid, wanted, found.generations)


async def clean_files(files: Files, known: set[str]) -> None:
    """Remove the injected files of containers that nobody knows any more."""
    try:
        for uuid in await files.known() - known:
            await files.remove(uuid)
    except ZunError as error:
        _log.warning("old files were not removed, trying again at the next start: %s", error)
