# SPDX-License-Identifier: Apache-2.0
"""A capsule after a crash of its agent: what the journal, the control plane and the engine know of it, put together."""

import msgspec

from zun.agent.found import Found
from zun.agent.memory import Memory, copy_observation, fresh, fresh_with
from zun.model.records import Inbox, Observation


def reconcile_capsule(
    uuid: str,
    wanted: Inbox | None,
    memory: Memory | None,
    told: Observation | None,
    found: Found,
) -> Memory:
    """What is known of one capsule. Its worker looks at everything before it does anything, so only what no look shows matters."""
    if memory is None or (told is not None and told.generation > memory.observation.generation):
        memory = _without_journal(uuid, wanted, told, found)
    elif told is not None and _knows_more(told, memory):
        _take_over(memory, told)
    memory.capsule = True
    memory.observation.doing = 0
    if wanted is not None and [one.uuid for one in memory.children] != [child.uuid for child in wanted.children]:
        known = {one.uuid: one for one in memory.children}
        generation = memory.observation.generation
        memory.children = [known.get(child.uuid) or fresh(child.uuid, generation) for child in wanted.children]
    for one in memory.children:
        one.observation.pulling = False
    _note(memory, found)
    return memory


def _without_journal(uuid: str, wanted: Inbox | None, told: Observation | None, found: Found) -> Memory:
    if told is not None:
        memory = fresh(uuid, told.generation)
        _take_over(memory, told)
        return memory
    return fresh_with(uuid, wanted, found.generations)


def _take_over(memory: Memory, told: Observation) -> None:
    """A report that arrived although the journal's last lines were lost knows more than the journal."""
    known = {one.uuid: one for one in memory.children}
    memory.observation = msgspec.structs.replace(told, children=[])
    memory.children = []
    for seen in told.children:
        one = known.get(seen.uuid) or fresh(seen.uuid, told.generation)
        one.observation = copy_observation(seen)
        memory.children.append(one)


def _knows_more(told: Observation, memory: Memory) -> bool:
    seen = memory.observation
    return told.generation == seen.generation and told.intent_done > seen.intent_done


def _note(memory: Memory, found: Found) -> None:
    generation = memory.observation.generation
    for sandbox in found.sandboxes:
        if sandbox.generation == generation:
            memory.observation.runtime_id = sandbox.handle
    handles = {seen.uuid: seen.handle for seen in found.containers if seen.generation == generation}
    for one in memory.children:
        one.observation.runtime_id = handles.get(one.uuid, one.observation.runtime_id)
