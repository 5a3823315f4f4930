# SPDX-License-Identifier: Apache-2.0
"""Puts the REST service together from the services that it offers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from zun.api.app import Application, Around, WebSocketHandler, layers
from zun.api.capsule_rendering import CapsuleViewer
from zun.api.handlers.availability_zones import ZoneHandlers
from zun.api.handlers.capsules import CapsuleHandlers
from zun.api.handlers.container_actions import ContainerActionHandlers
from zun.api.handlers.container_history import ContainerHistoryHandlers
from zun.api.handlers.container_live import ContainerLiveHandlers
from zun.api.handlers.containers import ContainerHandlers
from zun.api.handlers.discovery import DiscoveryHandlers
from zun.api.handlers.doctor import DoctorHandlers
from zun.api.handlers.hosts import HostHandlers
from zun.api.handlers.images import ImageHandlers
from zun.api.handlers.networks import NetworkHandlers
from zun.api.handlers.node_joining import NodeJoiningHandlers
from zun.api.handlers.nodes import NodeHandlers
from zun.api.handlers.quotas import QuotaClassHandlers, QuotaHandlers
from zun.api.handlers.registries import RegistryHandlers
from zun.api.handlers.services import ServiceHandlers
from zun.api.health import Check, HealthHandlers
from zun.api.metrics import MetricsHandlers
from zun.api.openapi import OpenApiHandlers
from zun.api.origin import Origin
from zun.api.rendering import ContainerViewer
from zun.api.routes import Handlers, all_routes
from zun.api.streams import console
from zun.api.streams.archives import ArchiveStreamHandlers
from zun.api.streams.console import ConsoleEndpoint
from zun.api.streams.lifetime import Lifetime
from zun.api.streams.logs import LogStreamHandlers
from zun.api.streams.options import StreamOptions
from zun.api.streams.ports import PortHandlers
from zun.api.streams.upgrading import Upgrading
from zun.api.streams.watch import WatchHandlers
from zun.model.fields import Bounds
from zun.policy.enforcer import Policy
from zun.services.containers import ContainerService
from zun.services.doctor.service import Doctor
from zun.services.images import ImageService
from zun.services.joining import JoiningService
from zun.services.limits import LimitService
from zun.services.live import LiveService
from zun.services.networks import NetworkService
from zun.services.node_overview import NodeOverview
from zun.services.nodes import NodeService
from zun.services.options import ContainerOptions
from zun.services.registries import RegistryService


@dataclass(frozen=True)
class Services:
    """What the API offers."""

    policy: Policy
    containers: ContainerService
    live: LiveService
    nodes: NodeService
    images: ImageService
    registries: RegistryService
    limits: LimitService
    networks: NetworkService
    doctor: Doctor
    joining: JoiningService | None = None  # where machines can join


@dataclass(frozen=True)
class Operation:
    """What the API is told by whoever runs it.

    `lifetime` is ended before the server stops; `health` says why not to send requests; without `metrics` there is no `/metrics`.
    """

    metrics: MetricsHandlers | None = None
    lifetime: Lifetime = field(default_factory=Lifetime)
    streams: StreamOptions = field(default_factory=StreamOptions)
    health: Sequence[Check] = ()


def bounds_of(options: ContainerOptions) -> Bounds:
    """The operator's bounds of fields."""
    return {
        "cpu": (options.minimum_cpu, options.maximum_cpu),
        "memory": (options.minimum_memory, options.maximum_memory),
        "disk": (options.minimum_disk, options.maximum_disk),
    }


def application(
    services: Services, around: Around, container_options: ContainerOptions, operation: Operation | None = None
) -> Application:
    """The whole REST service."""
    operation = operation or Operation()
    bounds = bounds_of(container_options)
    viewer = ContainerViewer(around.view, services.policy, around.clock)
    containers, live = services.containers, services.live
    lifetime, streams = operation.lifetime, operation.streams
    openapi = OpenApiHandlers(bounds)
    handlers = Handlers(
        discovery=DiscoveryHandlers(),
        openapi=openapi,
        containers=ContainerHandlers(containers, around.view, services.policy, viewer, bounds),
        actions=ContainerActionHandlers(containers, services.policy, viewer, bounds),
        live=ContainerLiveHandlers(containers, live),
        history=ContainerHistoryHandlers(containers, services.policy),
        images=ImageHandlers(services.images, live),
        hosts=HostHandlers(services.nodes),
        nodes=NodeHandlers(NodeOverview(around.view, services.policy), services.nodes),
        doctor=DoctorHandlers(services.doctor),
        services=ServiceHandlers(services.nodes),
        zones=ZoneHandlers(services.nodes),
        quotas=QuotaHandlers(services.limits),
        quota_classes=QuotaClassHandlers(services.limits),
        registries=RegistryHandlers(services.registries),
        networks=NetworkHandlers(services.networks, services.policy),
        capsules=CapsuleHandlers(
            containers.capsules,
            around.view,
            services.policy,
            CapsuleViewer(around.view, services.policy, around.clock, viewer),
            bounds,
        ),
        node_joining=NodeJoiningHandlers(services.joining, services.policy),
        log_stream=LogStreamHandlers(containers, live, lifetime, streams),
        archive_stream=ArchiveStreamHandlers(containers, live, lifetime, streams),
        ports=PortHandlers(containers, containers.capsules, live, lifetime, streams),
        watch=WatchHandlers(
            view=around.view,
            policy=services.policy,
            viewer=viewer,
            identity=around.identity,
            lifetime=lifetime,
            options=streams,
        ),
        health=HealthHandlers(operation.health),
        metrics=operation.metrics,
    )
    routes = all_routes(handlers)
    openapi.describe(routes)
    consoles = ConsoleEndpoint(live, Origin(around.options.trusted_proxies), lifetime, streams)
    sockets: dict[str, WebSocketHandler] = {console.PATH: consoles.console}
    http = layers(routes, around)
    return Application(http, sockets, Upgrading(http, routes))
