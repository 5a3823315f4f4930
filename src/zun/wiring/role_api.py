# SPDX-License-Identifier: Apache-2.0
"""`zund api`: REST and WebSocket over the shared store; any number of them."""

from contextlib import AsyncExitStack

from zun.base.clock import SystemClock
from zun.config import Settings
from zun.services.processes import Announcement
from zun.store.view import View
from zun.telemetry.metrics import API
from zun.telemetry.prometheus import PrometheusMeter
from zun.wiring.announcing import describing
from zun.wiring.basis import master_key, prepare
from zun.wiring.life import House
from zun.wiring.serving import build_api
from zun.wiring.stores import open_store, require_shared_store
from zun.wiring.tracing import open_tracer


async def build(settings: Settings, stack: AsyncExitStack) -> House:
    """An API server. Raises `ZunError` when a part cannot be had."""
    require_shared_store(settings, "api")
    from zun.wiring.reaching_nodes import remote_directory  # noqa: PLC0415 - loads grpc, as that store does

    clock = SystemClock()
    prepare(settings.state_dir)
    key = master_key(settings.state_dir)
    meter = PrometheusMeter(API)
    store = await stack.enter_async_context(open_store(settings, clock, meter=meter))
    view = View(store, clock)
    nodes = remote_directory(settings, view, clock)
    tracer = open_tracer(settings, stack, "zun-api")
    own = describing(settings, "api", clock)
    api = build_api(
        settings,
        stack,
        store=store,
        view=view,
        clock=clock,
        master_key=key,
        directory=nodes,
        meter=meter,
        own=own,
        tracer=tracer,
    )
    return House(
        greeting=f"zund api is ready on {api.url}",
        stages=[
            {"api": api.serving, "announcement": Announcement(store, clock, own).run},
            {"nodes": nodes.run, "containers": api.accepting, "view": view.run},
        ],
        ready=view.ready,
        end_streams=api.end_streams,
    )
