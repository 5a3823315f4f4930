# SPDX-License-Identifier: Apache-2.0
"""`zund controller`: a candidate for leading; any number of them, one works."""

from contextlib import AsyncExitStack

from zun.base.clock import SystemClock
from zun.config import Settings
from zun.services.processes import Announcement
from zun.store.view import View
from zun.store.view_figures import ViewFigures
from zun.telemetry.metrics import CONTROLLER
from zun.wiring.announcing import describing
from zun.wiring.basis import master_key, prepare
from zun.wiring.controlling import build_controller
from zun.wiring.life import House
from zun.wiring.measuring import open_meter
from zun.wiring.stores import open_store, require_shared_store
from zun.wiring.tracing import open_tracer


async def build(settings: Settings, stack: AsyncExitStack) -> House:
    """A controller. Raises `ZunError` when a part cannot be had."""
    require_shared_store(settings, "controller")
    clock = SystemClock()
    prepare(settings.state_dir)
    key = master_key(settings.state_dir)
    meter = await open_meter(settings, stack, CONTROLLER)
    store = await stack.enter_async_context(open_store(settings, clock, meter=meter))
    view = View(store, clock)
    meter.watch(ViewFigures(view, store, clock))
    tracer = open_tracer(settings, stack, "zun-controller")
    controller = build_controller(
        settings, store=store, view=view, clock=clock, master_key=key, meter=meter, tracer=tracer
    )
    announcement = Announcement(store, clock, describing(settings, "controller", clock))
    return House(
        greeting="zund controller is ready",
        stages=[{"controller": controller.run, "announcement": announcement.run}, {"view": view.run}],
        ready=view.ready,
    )
