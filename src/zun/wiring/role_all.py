# SPDX-License-Identifier: Apache-2.0
"""`zund all`: the API, the controllers and one node's agent in a single process over one store."""

from contextlib import AsyncExitStack

from zun.base.clock import SystemClock
from zun.config import Settings
from zun.store.view import View
from zun.telemetry.metrics import API, COMPUTE, CONTROLLER
from zun.telemetry.prometheus import PrometheusMeter
from zun.wiring.announcing import describing
from zun.wiring.basis import lone_node_name, master_key, prepare
from zun.wiring.computing import build_node, register_over_store
from zun.wiring.controlling import build_controller
from zun.wiring.directories import OneNode
from zun.wiring.life import House
from zun.wiring.networks import network_parts
from zun.wiring.serving import build_api
from zun.wiring.stores import open_store
from zun.wiring.tracing import open_tracer


async def build(settings: Settings, stack: AsyncExitStack) -> House:
    """Everything. Raises `ZunError` when a part cannot be had."""
    clock = SystemClock()
    prepare(settings.state_dir)
    meter = PrometheusMeter(API, CONTROLLER, COMPUTE)
    store = await stack.enter_async_context(open_store(settings, clock, meter=meter))
    view = View(store, clock)
    tracer = open_tracer(settings, stack, "zun")
    name = lone_node_name(settings)
    networks = await network_parts(settings, stack, clock)
    node = await build_node(settings, stack, name=name, store=store, clock=clock, meter=meter, tracer=tracer)
    key = master_key(settings.state_dir)
    controller = build_controller(
        settings, store=store, view=view, clock=clock, master_key=key, meter=meter, tracer=tracer
    )
    directory = OneNode(node.name, node.agent.live)
    api = build_api(
        settings,
        stack,
        store=store,
        view=view,
        clock=clock,
        master_key=key,
        directory=directory,
        meter=meter,
        own=describing(settings, "all", clock),
        tracer=tracer,
    )

    async def registration() -> None:
        await register_over_store(node, store, clock)

    return House(
        greeting=f"zund is ready on {api.url}; node {node.name}, engine {node.engine}",
        stages=[
            {"api": api.serving},
            {"registration": registration, "agent": node.agent.run, "controller": controller.run},
            {"containers": api.accepting, "view": view.run, **networks},
        ],
        ready=view.ready,
        end_streams=api.end_streams,
    )
