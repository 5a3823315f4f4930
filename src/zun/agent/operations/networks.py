# SPDX-License-Identifier: Apache-2.0
"""Plugging a container into a network and out of it; a rebuild remembers."""

from zun.agent.operations.job import Job
from zun.agent.request import networks_of
from zun.drivers.runtime.types import NetworkRequest
from zun.model.container import NetRequest
from zun.model.errors import Conflict, NotFound
from zun.model.parts import ENGINE_DEFAULT_NETWORK


async def attach(job: Job) -> None:
    """Plug it in, with a fixed address if one was asked for."""
    if job.wanted.attachments is not None:
        await _as_granted(job)
        return
    network, v4, v6 = _asked(job)
    try:
        await job.tools.engine.attach_network(job.existing(), NetworkRequest(network, v4, v6))
    except Conflict:
        if not job.resumed:
            raise
    others = [net for net in _on(job) if net.network != network]
    _now_on(job, [*others, NetRequest(network, v4_fixed_ip=v4, v6_fixed_ip=v6)])
    await job.look()


async def detach(job: Job) -> None:
    """Unplug it."""
    if job.wanted.attachments is not None:
        await _as_granted(job)
        return
    network, _, _ = _asked(job)
    try:
        await job.tools.engine.detach_network(job.existing(), network)
    except NotFound:
        if not job.resumed or not job.memory.handle:
            raise
    _now_on(job, [net for net in _on(job) if net.network != network])
    await job.look()


async def _as_granted(job: Job) -> None:
    """On networks of the service it is on those that its place has, which the leader changed, or else said why not."""
    reason = job.wanted.refused.get(job.intent.n) if job.intent is not None else None
    if reason is not None:
        raise Conflict(reason)
    await job.tools.plugs.change(job.wanted)
    await job.look()


def _on(job: Job) -> list[NetRequest]:
    """Those it is on. Who asked for none is on the engine's own, which must be named from now on: it is one of several."""
    if job.memory.networks is None and not job.spec.nets:
        return [NetRequest(ENGINE_DEFAULT_NETWORK)]
    return networks_of(job.wanted, job.memory)


def _now_on(job: Job, networks: list[NetRequest]) -> None:
    """Remember it, and tell it: another node would have to know."""
    job.memory.networks = job.memory.observation.networks = networks


def _asked(job: Job) -> tuple[str, str | None, str | None]:
    network = (job.intent.network if job.intent is not None else None) or ""
    fixed = job.intent.fixed_ip if job.intent is not None else None
    if fixed and ":" in fixed:
        return network, None, fixed
    return network, fixed, None
