# SPDX-License-Identifier: Apache-2.0
"""Builds the API: the services, the REST application over them, and the server."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from zun.api.app import Around
from zun.api.assembly import Operation, Services, application
from zun.api.health import not_disabled, view_follows
from zun.api.metrics import MetricsHandlers, RequestFigures
from zun.api.server import listen, serve
from zun.base.clock import Clock
from zun.base.sealing import MasterKey
from zun.config import Settings
from zun.policy.enforcer import Policy
from zun.services.consoles import ConsoleGrants
from zun.services.containers import ContainerService
from zun.services.images import ImageService
from zun.services.limits import LimitService
from zun.services.live import LiveService
from zun.services.networks import NetworkService
from zun.services.nodelive import NodeDirectory
from zun.services.nodes import NodeService
from zun.services.optimistic import OptimisticWriter
from zun.services.processes import Describe
from zun.services.registries import RegistryService
from zun.store.interface import Store
from zun.store.view import View
from zun.store.view_figures import ContainerFigures, ViewFigures
from zun.telemetry.prometheus import CONTENT_TYPE, PrometheusMeter
from zun.telemetry.tracing import NO_TRACER, Tracer
from zun.wiring.certifying import account_keeper
from zun.wiring.examining import build_doctor
from zun.wiring.identities import open_identity
from zun.wiring.joining import joining_service
from zun.wiring.life import Part


@dataclass(frozen=True)
class Api:
    """An API to be run: `serving` answers at `url`, and `accepting` must run below it for as long as it does."""

    url: str
    serving: Part
    accepting: Part
    end_streams: Callable[[], None]


def build_api(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    store: Store,
    view: View,
    clock: Clock,
    master_key: MasterKey,
    directory: NodeDirectory,
    meter: PrometheusMeter,
    own: Describe,
    tracer: Tracer = NO_TRACER,
) -> Api:
    """The API over a store and its view, listening already; `own` is what this process says of itself. Raises `Unavailable` when its port is taken."""
    policy = Policy(settings.policy, clock=clock)
    services = _services(
        settings,
        store=store,
        view=view,
        policy=policy,
        clock=clock,
        master_key=master_key,
        directory=directory,
        own=own,
        tracer=tracer,
    )
    listening = listen(settings.api)
    stack.callback(listening.close)
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    callers = open_identity(settings, url, policy, clock)
    stack.push_async_callback(callers.close)
    meter.watch(ViewFigures(view, store, clock))
    meter.watch(ContainerFigures(view))
    operation = _operation(settings, meter, view, clock)
    around = Around(callers, view, clock, settings.api, RequestFigures(meter).observe, tracer)
    app = application(services, around, settings.containers, operation)

    async def serving() -> None:
        await view.ready()
        await serve(app, settings.api, listening)

    return Api(url, serving, services.containers.run, operation.lifetime.end)


def _services(
    settings: Settings,
    *,
    store: Store,
    view: View,
    policy: Policy,
    clock: Clock,
    master_key: MasterKey,
    directory: NodeDirectory,
    own: Describe,
    tracer: Tracer,
) -> Services:
    writer = OptimisticWriter(store, view, clock)
    defaults = settings.quota.limits()
    return Services(
        policy=policy,
        containers=ContainerService(
            store,
            view,
            policy,
            clock,
            master_key=master_key,
            options=settings.containers,
            default_limits=defaults,
            sandboxes=settings.controller.sandboxes(),
            tracer=tracer,
        ),
        live=LiveService(view, policy, directory, ConsoleGrants(store, clock, settings.live), settings.live),
        nodes=NodeService(view, policy, writer, clock, keeper=account_keeper(settings, store)),
        images=ImageService(view, policy, writer, clock),
        registries=RegistryService(view, policy, writer, master_key, clock),
        limits=LimitService(view, policy, writer, defaults),
        networks=NetworkService(store, view, policy, writer, clock),
        doctor=build_doctor(settings, store=store, view=view, directory=directory, policy=policy, clock=clock, own=own),
        joining=joining_service(settings, store=store, policy=policy, clock=clock, master_key=master_key),
    )


def _operation(settings: Settings, meter: PrometheusMeter, view: View, clock: Clock) -> Operation:
    health = [not_disabled(settings.state_dir / "disabled"), view_follows(view, clock)]
    metrics = MetricsHandlers(meter.text, CONTENT_TYPE)
    return Operation(metrics=metrics, streams=settings.streams, health=health)
