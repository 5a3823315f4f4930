# SPDX-License-Identifier: Apache-2.0
"""Builds the controller: the election, and the loops that work while this process leads."""

import random

from zun.base.clock import Clock
from zun.base.sealing import MasterKey
from zun.config import Settings
from zun.controllers.compacting.loop import CompactingLoop
from zun.controllers.leading import Controller, Loop
from zun.controllers.nodes.loop import NodesLoop
from zun.controllers.reaping.loop import ReapingLoop
from zun.controllers.scheduling.loop import SchedulingLoop
from zun.store.interface import Store
from zun.store.view import View
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.metrics import LEADER
from zun.telemetry.tracing import NO_TRACER, Tracer
from zun.wiring.announcing import identity
from zun.wiring.certifying import certifying_loop
from zun.wiring.stores import retention


def build_controller(
    settings: Settings,
    *,
    store: Store,
    view: View,
    clock: Clock,
    master_key: MasterKey,
    meter: Meter = NO_METER,
    tracer: Tracer = NO_TRACER,
) -> Controller:
    """A candidate; it leads when it is chosen."""
    controller = Controller(
        store,
        clock,
        _loops(settings, store=store, view=view, clock=clock, master_key=master_key, meter=meter, tracer=tracer),
        identity=identity(),
        lease_ttl_seconds=settings.controller.lease_ttl_seconds,
        alone=store.known_revision() is not None,  # an embedded store: no other process can lead
    )
    meter.watch(lambda: [(LEADER, float(controller.leading), ())])
    return controller


def _loops(
    settings: Settings, *, store: Store, view: View, clock: Clock, master_key: MasterKey, meter: Meter, tracer: Tracer
) -> list[Loop]:
    """What a leader does. Over an embedded store there is one node and nowhere else to go, so nothing is moved and nothing stops itself."""
    shared = store.known_revision() is None
    scheduling = SchedulingLoop(
        store=store,
        view=view,
        clock=clock,
        master_key=master_key,
        options=settings.scheduler,
        rng=random.Random(),  # noqa: S311 - spreads load, guards nothing
        heal_delay_seconds=settings.controller.heal_delay_seconds if shared else None,
        sandboxes=settings.controller.sandboxed_runtimes,
        meter=meter,
        tracer=tracer,
    )
    reaping = ReapingLoop(
        store=store,
        view=view,
        clock=clock,
        retention_seconds=settings.containers.history_retention_seconds,
        purge_interval_seconds=settings.controller.purge_interval_seconds,
        meter=meter,
    )
    nodes = NodesLoop(view=view, clock=clock, drain_at_once=settings.controller.drain_at_once)
    loops: list[Loop] = [scheduling, reaping, nodes]
    if store.known_revision() is None:  # an embedded store forgets by itself
        loops.append(CompactingLoop(store=store, clock=clock, retention=retention(settings)))
    certifying = certifying_loop(settings, store=store, view=view, clock=clock)
    if certifying is not None:
        loops.append(certifying)
    return loops
