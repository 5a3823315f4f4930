# SPDX-License-Identifier: Apache-2.0
"""Builds a node: its engine, its link to the control plane, its agent, and the watchdog that outlives it."""

import asyncio
import os
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from zun.agent.agent import Agent
from zun.agent.alone import hold_alone
from zun.agent.fingerprinting import NOWHERE, Endpoint
from zun.agent.guards import start_watchdog
from zun.agent.identity import boot_id, load_identity
from zun.agent.recovery import patiently
from zun.base.clock import Clock
from zun.config import Settings
from zun.drivers.runtime.base import Runtime
from zun.services.node_registration import Newcomer, NodeRegistration
from zun.store.interface import Store
from zun.store.nodelink_store import StoreNodeLink
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.tracing import NO_TRACER, Tracer
from zun.wiring.basis import node_key
from zun.wiring.engines import open_engine
from zun.wiring.networks import node_networks
from zun.wiring.reaching import reached
from zun.wiring.service_manager import ServiceManager


@dataclass(frozen=True)
class Node:
    """A node to be run: `agent` is its life, `newcomer` what it says of itself to be let in."""

    name: str
    engine: str
    agent: Agent
    newcomer: Newcomer


async def build_node(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    name: str,
    store: Store,
    clock: Clock,
    endpoint: Endpoint = NOWHERE,
    meter: Meter = NO_METER,
    tracer: Tracer = NO_TRACER,
    patient: bool = False,
) -> Node:
    """The node called `name`, linked to the control plane through `store`; `endpoint` is where its streams are served.

    An engine that does not answer is waited for when `patient`; else raises `Unavailable`.
    """
    stack.callback(os.close, hold_alone(settings.state_dir))
    identity = load_identity(settings.state_dir)
    key = node_key(settings.state_dir)
    networks = node_networks(settings)

    def open_it() -> Awaitable[Runtime]:
        return open_engine(settings, identity, clock, networks)

    what, waits = f"engine ({settings.runtime.driver})", ServiceManager.of_this_process().waits
    engine = await (reached(what, open_it, clock, waits=waits) if patient else open_it())
    stack.push_async_callback(engine.close)
    agent = Agent(
        runtime=engine,
        networks=networks,
        publish_address=settings.network.publish_address,
        link=StoreNodeLink(store, name, clock, boot_id=boot_id()),
        key=key,
        identity=identity,
        boot_id=boot_id(),
        clock=clock,
        options=settings.compute,
        state_dir=settings.state_dir,
        endpoint=endpoint,
        meter=meter,
        tracer=tracer,
    )
    if (
        store.known_revision() is None
    ):  # a shared store: containers may be placed elsewhere, so this node must be able to stop them
        await asyncio.to_thread(start_watchdog, settings.state_dir)
    return Node(name, engine.name, agent, Newcomer(name, identity.uuid, key.public))


async def register_over_store(node: Node, store: Store, clock: Clock) -> None:
    """Make the node known by writing its record, for a node that may write everything: one in the control plane's process, or
    beside a plain etcd on loopback.
    """
    await node.agent.ready()
    registration = NodeRegistration(store, clock)
    await patiently("registering the node", clock, lambda: registration.register(node.newcomer))
