# SPDX-License-Identifier: Apache-2.0
"""`zund compute`: the agent of one node."""

from contextlib import AsyncExitStack

from zun.base.clock import SystemClock
from zun.config import Settings
from zun.telemetry.metrics import COMPUTE
from zun.wiring.basis import node_name, prepare
from zun.wiring.computing import build_node, register_over_store
from zun.wiring.life import House
from zun.wiring.measuring import open_meter
from zun.wiring.stores import node_agrees, open_store, require_shared_store
from zun.wiring.tracing import open_tracer


async def build(settings: Settings, stack: AsyncExitStack) -> House:
    """A node. Raises `ZunError` when a part cannot be had."""
    require_shared_store(settings, "compute")
    from zun.wiring.serving_streams import open_node_streams  # noqa: PLC0415 - loads grpc, as that store does

    name = node_name(settings)
    clock = SystemClock()
    prepare(settings.state_dir)
    meter = await open_meter(settings, stack, COMPUTE)
    store = await stack.enter_async_context(open_store(settings, clock, agree=node_agrees, meter=meter))
    streams = open_node_streams(settings, node=name, clock=clock)
    stack.push_async_callback(streams.server.stop)
    tracer = open_tracer(settings, stack, "zun-compute")
    node = await build_node(
        settings,
        stack,
        name=name,
        store=store,
        clock=clock,
        endpoint=streams.endpoint,
        meter=meter,
        tracer=tracer,
    )

    async def registration() -> None:
        # The store is a plain etcd on loopback (`open_store` sees to it), which takes the node's word for who it is.
        await register_over_store(node, store, clock)

    return House(
        greeting=f"zund compute is ready; node {node.name}, engine {node.engine}, streams at {streams.endpoint.address}",
        stages=[
            {"streams": lambda: streams.run(node.agent)},
            {"registration": registration, "agent": node.agent.run},
        ],
        ready=node.agent.ready,
    )
