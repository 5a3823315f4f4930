# SPDX-License-Identifier: Apache-2.0
"""Resizes of placed containers: granted when the node has room, else refused with the reason."""

import msgspec

from zun.controllers.scheduling.changing import change
from zun.controllers.scheduling.cluster import Cluster, NodeState, cpus_of
from zun.controllers.scheduling.decisions import Decision, News
from zun.controllers.scheduling.requests import dedicated_cpus
from zun.model.records import Claim, ContainerRecord, Intent, Place, Verb
from zun.model.resources import millicpus
from zun.store.view import ContainerEntry
from zun.telemetry.metrics import RESIZES


def decide(entry: ContainerEntry, cluster: Cluster, now: float) -> Decision | None:
    """Decide what waits; None when nothing does. What is granted is counted in `cluster` at once."""
    record, before = entry.record(), entry.place()
    if before is None or not before.node:
        return None
    node = cluster.node(before.node)
    place = msgspec.structs.replace(before, resize_refused=dict(before.resize_refused))
    waiting = undecided(record, before)
    for intent in waiting:
        _decide_one(place, intent, node, before.claim)
    if node is not None:
        _follow_spec(place, record, node, before.claim)
    if place.claim == before.claim and place.resize_done == before.resize_done:
        return None
    refused = [place.resize_refused[intent.n] for intent in waiting if intent.n in place.resize_refused]
    known = {intent.n for intent in record.intents}
    place.resize_refused = {n: reason for n, reason in place.resize_refused.items() if n in known}
    news = News(
        says=f"Container {record.uuid} keeps its size: {refused[-1]}"
        if refused
        else f"Container {record.uuid} may be resized",
        behind=waiting[-1] if waiting else None,
        counts=RESIZES if waiting else None,
        labels=("refused" if refused else "granted",),
        began=now,
        span="resize",
        node=place.node,
    )
    return change(entry, place, cluster, news)


def undecided(record: ContainerRecord, place: Place) -> list[Intent]:
    """The resizes that wait for a decision."""
    return [intent for intent in record.intents if intent.verb is Verb.RESIZE and intent.n > place.resize_done]


def _decide_one(place: Place, intent: Intent, node: NodeState | None, counted: Claim) -> None:
    """Grant or refuse one more resize. `counted` is the claim that the node's free resources were reckoned with."""
    place.resize_done = intent.n
    if node is None:
        place.resize_refused[intent.n] = f"Node {place.node} is not registered any more."
        return
    wanted = _wanted(place.claim, intent.cpu, intent.memory, node, counted)
    lacking = _lacking(counted, wanted, node)
    if wanted is None or lacking:
        place.resize_refused[intent.n] = f"Node {place.node} cannot give that: {lacking}."
    else:
        place.claim = wanted


def _follow_spec(place: Place, record: ContainerRecord, node: NodeState, counted: Claim) -> None:
    """Without any resize in work the claim is what the spec says: a node that failed to resize had its spec put back."""
    if any(intent.verb is Verb.RESIZE for intent in record.intents):
        return
    wanted = _wanted(place.claim, record.spec.cpu, record.spec.memory, node, counted)
    if wanted is not None:
        place.claim = wanted


def _wanted(own: Claim, cpu: float | None, memory: int | None, node: NodeState, counted: Claim) -> Claim | None:
    """The claim after a resize; None when there are not enough whole cpus."""
    memory_mib = own.memory_mib if memory is None else memory
    if cpu is None:
        return msgspec.structs.replace(own, memory_mib=memory_mib)
    if own.cpuset is None:
        return msgspec.structs.replace(own, memory_mib=memory_mib, millicpus=millicpus(cpu))
    number = dedicated_cpus(cpu)
    mine = sorted(cpus_of(own))
    others = sorted((cpus_of(counted) | set(node.free_cpus)) - set(mine))
    cpus = [*mine, *others][:number]
    if len(cpus) < number:
        return None
    cpuset = ",".join(str(cpu) for cpu in sorted(cpus))
    return msgspec.structs.replace(own, memory_mib=memory_mib, millicpus=1000 * number, cpuset=cpuset)


def _lacking(counted: Claim, wanted: Claim | None, node: NodeState) -> str:
    """What the node has too little of, beside what the container has already; empty when it fits. Less always fits."""
    if wanted is None:
        return f"not enough dedicated cpus ({len(node.free_cpus)} more are free)"
    more_memory, free_memory = wanted.memory_mib - counted.memory_mib, max(0, node.free_memory_mib)
    if more_memory > free_memory:
        return f"not enough memory ({more_memory} MiB more asked, {free_memory} MiB free)"
    more_cpu, free_cpu = wanted.millicpus - counted.millicpus, max(0, node.free_millicpus)
    if wanted.cpuset is None and more_cpu > free_cpu:
        return f"not enough cpu ({more_cpu / 1000:g} more asked, {free_cpu / 1000:g} free)"
    if wanted.cpuset is None and node.facts.cpus and wanted.millicpus > max(1000 * node.facts.cpus, counted.millicpus):
        return f"not enough cores ({wanted.millicpus / 1000:g} asked, {node.facts.cpus} there)"
    return ""
