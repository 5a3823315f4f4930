# SPDX-License-Identifier: Apache-2.0
"""`zund compute`: the agent of one node."""

from contextlib import AsyncExitStack

from zun.base.clock import SystemClock
from zun.config import Settings
from zun.model.errors import Denied
from zun.telemetry.metrics import COMPUTE
from zun.wiring.basis import prepare
from zun.wiring.computing import build_node
from zun.wiring.life import House
from zun.wiring.measuring import open_meter
from zun.wiring.networks import network_parts
from zun.wiring.standing import standing_of
from zun.wiring.stores import node_agrees, open_store
from zun.wiring.tracing import open_tracer


async def build(settings: Settings, stack: AsyncExitStack) -> House:
    """A node. Raises `ZunError` when a part cannot be had."""
    standing = standing_of(settings)
    settings, name = standing.settings, standing.name
    from zun.wiring.serving_streams import open_node_streams  # noqa: PLC0415 - loads grpc, as that store does

    clock = SystemClock()
    prepare(settings.state_dir)
    meter = await open_meter(settings, stack, COMPUTE)
    opening = open_store(settings, clock, agree=node_agrees, meter=meter, readable_key=standing.readable_key)
    try:
        store = await stack.enter_async_context(opening)
    except Denied as error:
        raise standing.denied(error) from error
    streams = open_node_streams(settings, node=name, clock=clock)
    stack.push_async_callback(streams.server.stop)
    tracer = open_tracer(settings, stack, "zun-compute")
    networks = await network_parts(settings, stack, clock)
    node = await build_node(
        settings,
        stack,
        name=name,
        store=store,
        clock=clock,
        endpoint=streams.endpoint,
        meter=meter,
        tracer=tracer,
        patient=True,
    )

    async def agent() -> None:
        try:
            await node.agent.run()
        except* Denied as errors:
            raise standing.denied(Denied("The store does not allow this node what it does.")) from errors

    return House(
        greeting=f"zund compute is ready; node {node.name}, engine {node.engine}, streams at {streams.endpoint.address}",
        stages=[
            {"streams": lambda: streams.run(node.agent)},
            {**standing.beside(node, store, clock), "agent": agent},
            networks,
        ],
        ready=node.agent.ready,
    )
