# SPDX-License-Identifier: Apache-2.0
"""Puts the REST service together from the services that it offers."""

from dataclasses import dataclass

from zun.api.app import Application, Around, WebSocketHandler, layers
from zun.api.handlers.availability_zones import ZoneHandlers
from zun.api.handlers.capsules import CapsuleHandlers
from zun.api.handlers.container_actions import ContainerActionHandlers
from zun.api.handlers.container_history import ContainerHistoryHandlers
from zun.api.handlers.container_live import ContainerLiveHandlers
from zun.api.handlers.containers import ContainerHandlers
from zun.api.handlers.discovery import DiscoveryHandlers
from zun.api.handlers.hosts import HostHandlers
from zun.api.handlers.images import ImageHandlers
from zun.api.handlers.networks import NetworkHandlers
from zun.api.handlers.quotas import QuotaClassHandlers, QuotaHandlers
from zun.api.handlers.registries import RegistryHandlers
from zun.api.handlers.services import ServiceHandlers
from zun.api.openapi import OpenApiHandlers
from zun.api.rendering import ContainerViewer
from zun.api.routes import Handlers, all_routes
from zun.model.fields import Bounds
from zun.policy.enforcer import Policy
from zun.services.containers import ContainerService
from zun.services.images import ImageService
from zun.services.limits import LimitService
from zun.services.live import LiveService
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


def bounds_of(options: ContainerOptions) -> Bounds:
    """The operator's bounds of fields."""
    return {
        "cpu": (options.minimum_cpu, options.maximum_cpu),
        "memory": (options.minimum_memory, options.maximum_memory),
        "disk": (options.minimum_disk, options.maximum_disk),
    }


def application(services: Services, around: Around, container_options: ContainerOptions) -> Application:
    """The whole REST service."""
    bounds = bounds_of(container_options)
    viewer = ContainerViewer(around.view, services.policy, around.clock)
    containers, live = services.containers, services.live
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
        services=ServiceHandlers(services.nodes),
        zones=ZoneHandlers(services.nodes),
        quotas=QuotaHandlers(services.limits),
        quota_classes=QuotaClassHandlers(services.limits),
        registries=RegistryHandlers(services.registries),
        networks=NetworkHandlers(services.policy),
        capsules=CapsuleHandlers(),
    )
    routes = all_routes(handlers)
    openapi.describe(routes)
    sockets: dict[str, WebSocketHandler] = {}
    return Application(layers(routes, around), sockets)
