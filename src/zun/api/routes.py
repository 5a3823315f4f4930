# SPDX-License-Identifier: Apache-2.0
"""Every URL of the service on one page.

`{ident}` is a uuid or a name. Versions are those of the wire contract; a route without them exists in all.
"""

from dataclasses import dataclass

from zun.api.container_filters import ListQuery
from zun.api.handlers import capsules as capsule_forms
from zun.api.handlers import container_actions as actions
from zun.api.handlers import container_live as live
from zun.api.handlers import containers
from zun.api.handlers import images as image_forms
from zun.api.handlers import node_joining as join_forms
from zun.api.handlers import quotas as quota_forms
from zun.api.handlers import registries as registry_forms
from zun.api.handlers import services as service_forms
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
from zun.api.health import HealthHandlers
from zun.api.metrics import MetricsHandlers
from zun.api.openapi import OpenApiHandlers
from zun.api.paging import PageQuery
from zun.api.routing import Route
from zun.api.streams import archives as archive_streams
from zun.api.streams import logs as log_streams
from zun.api.streams import watch as watch_streams
from zun.api.streams.archives import ArchiveStreamHandlers
from zun.api.streams.logs import LogStreamHandlers
from zun.api.streams.ports import PortForm, PortHandlers
from zun.api.streams.watch import WatchHandlers
from zun.model.container import ContainerSpec
from zun.model.creation import PATCHABLE

C = "/v1/containers"
ONE = "/v1/containers/{ident}"


@dataclass(frozen=True)
class Handlers:
    """One object per resource."""

    discovery: DiscoveryHandlers
    openapi: OpenApiHandlers
    containers: ContainerHandlers
    actions: ContainerActionHandlers
    live: ContainerLiveHandlers
    history: ContainerHistoryHandlers
    images: ImageHandlers
    hosts: HostHandlers
    nodes: NodeHandlers
    doctor: DoctorHandlers
    services: ServiceHandlers
    zones: ZoneHandlers
    quotas: QuotaHandlers
    quota_classes: QuotaClassHandlers
    registries: RegistryHandlers
    networks: NetworkHandlers
    capsules: CapsuleHandlers
    node_joining: NodeJoiningHandlers
    log_stream: LogStreamHandlers
    archive_stream: ArchiveStreamHandlers
    ports: PortHandlers
    watch: WatchHandlers
    health: HealthHandlers
    metrics: MetricsHandlers | None


def all_routes(h: Handlers) -> list[Route]:
    """The page."""
    return [
        *_discovery(h),
        *_containers(h),
        *_actions(h),
        *_changes_around(h),
        *_live(h),
        *_images(h),
        *_operators(h),
        *_capsules(h),
        *_nodes(h),
        *_joining(h),
        *_quotas(h),
        *_registries(h),
        *_streams(h),
        *_operation(h),
    ]


def _discovery(h: Handlers) -> list[Route]:
    return [
        Route("GET", "/", h.discovery.root, "root", public=True),
        Route("GET", "/v1", h.discovery.v1, "v1", public=True),
        Route("GET", "/v1/openapi.json", h.openapi.document, "openapi", public=True),
    ]


def _containers(h: Handlers) -> list[Route]:
    c = h.containers
    return [
        Route("GET", C, c.list, "container_list", query=ListQuery),
        Route(
            "POST",
            C,
            c.create,
            "container_create",
            202,
            json_body=True,
            query=containers.RunQuery,
            body=ContainerSpec,
            shows="Container",
        ),
        Route("GET", ONE, c.show, "container_show", query=containers.ShowQuery, shows="Container"),
        Route("PATCH", ONE, c.update, "container_update", body=ContainerSpec, only=PATCHABLE, shows="Container"),
        Route("DELETE", ONE, c.delete, "container_delete", 204, query=containers.DeleteQuery),
    ]


def _actions(h: Handlers) -> list[Route]:
    a = h.actions
    return [
        Route("POST", f"{ONE}/start", a.start, "container_start", 202),
        Route("POST", f"{ONE}/stop", a.stop, "container_stop", 202, either=actions.TimeoutForm),
        Route("POST", f"{ONE}/reboot", a.reboot, "container_reboot", 202, either=actions.TimeoutForm),
        Route("POST", f"{ONE}/rebuild", a.rebuild, "container_rebuild", 202, either=actions.RebuildForm),
        Route("POST", f"{ONE}/pause", a.pause, "container_pause", 202),
        Route("POST", f"{ONE}/unpause", a.unpause, "container_unpause", 202),
        Route("POST", f"{ONE}/kill", a.kill, "container_kill", 202, either=actions.KillForm),
        Route("POST", f"{ONE}/commit", a.commit, "container_commit", 202, either=actions.CommitForm),
        Route(
            "POST",
            f"{ONE}/add_security_group",
            a.add_security_group,
            "container_add_security_group",
            202,
            until=(1, 14),
            either=actions.SecurityGroupForm,
        ),
        Route(
            "POST",
            f"{ONE}/remove_security_group",
            a.remove_security_group,
            "container_remove_security_group",
            202,
            until=(1, 14),
            either=actions.SecurityGroupForm,
        ),
    ]


def _changes_around(h: Handlers) -> list[Route]:
    a = h.actions
    return [
        Route(
            "POST",
            f"{ONE}/network_attach",
            a.network_attach,
            "container_network_attach",
            since=(1, 8),
            either=actions.AttachNetworkForm,
        ),
        Route(
            "POST",
            f"{ONE}/network_detach",
            a.network_detach,
            "container_network_detach",
            202,
            since=(1, 6),
            either=actions.DetachNetworkForm,
        ),
        Route("GET", f"{ONE}/network_list", a.network_list, "container_network_list", since=(1, 13)),
        Route(
            "POST",
            f"{ONE}/rename",
            a.rename,
            "container_rename",
            until=(1, 13),
            either=actions.RenameForm,
            shows="Container",
        ),
        Route(
            "POST",
            f"{ONE}/resize_container",
            a.resize_container,
            "container_resize_container",
            202,
            since=(1, 19),
            body=ContainerSpec,
            only=PATCHABLE,
            shows="Container",
        ),
    ]


def _live(h: Handlers) -> list[Route]:
    v = h.live
    return [
        Route("GET", f"{ONE}/logs", v.logs, "container_logs", query=live.LogsForm),
        Route("POST", f"{ONE}/execute", v.execute, "container_execute", either=live.ExecuteForm),
        Route("POST", f"{ONE}/execute_resize", v.execute_resize, "container_execute_resize", either=live.ExecSizeForm),
        Route("GET", f"{ONE}/attach", v.attach, "container_attach", query=live.AttachForm),
        Route("POST", f"{ONE}/resize", v.resize, "container_resize", either=live.SizeForm),
        Route("GET", f"{ONE}/top", v.top, "container_top", query=live.TopForm),
        Route("GET", f"{ONE}/get_archive", v.get_archive, "container_get_archive", query=live.PathForm),
        Route("POST", f"{ONE}/put_archive", v.put_archive, "container_put_archive", large=True, either=live.PutForm),
        Route("GET", f"{ONE}/stats", v.stats, "container_stats"),
        Route("GET", f"{ONE}/container_actions", h.history.list, "container_action_list"),
        Route("GET", f"{ONE}/container_actions/{{request_id}}", h.history.show, "container_action_show"),
    ]


def _images(h: Handlers) -> list[Route]:
    i = h.images
    return [
        Route("GET", "/v1/images", i.list, "image_list", query=PageQuery),
        Route("POST", "/v1/images", i.create, "image_create", 202, json_body=True, body=image_forms.NewImage),
        Route("GET", "/v1/images/{name*}/search", i.search, "image_search", query=image_forms.SearchQuery),
        Route("GET", "/v1/images/{uuid}", i.show, "image_show"),
        Route("DELETE", "/v1/images/{uuid}", i.delete, "image_delete"),
    ]


def _operators(h: Handlers) -> list[Route]:
    s, service, named = h.services, "/v1/services", service_forms.ServiceName
    return [
        Route("GET", "/v1/hosts", h.hosts.list, "host_list", since=(1, 4), query=PageQuery),
        Route("GET", "/v1/hosts/{ident}", h.hosts.show, "host_show", since=(1, 4)),
        Route("GET", service, s.list, "service_list"),
        Route("DELETE", service, s.delete, "service_delete", either=named),
        Route("PUT", f"{service}/enable", s.enable, "service_enable", either=named),
        Route("PUT", f"{service}/disable", s.disable, "service_disable", either=service_forms.Disabling),
        Route("PUT", f"{service}/force_down", s.force_down, "service_force_down", either=service_forms.ForcingDown),
        Route("GET", "/v1/availability_zones", h.zones.list, "availability_zone_list"),
        Route("GET", "/v1/networks", h.networks.list, "network_list"),
        Route("POST", "/v1/networks", h.networks.create, "network_create", json_body=True),
        Route("GET", "/v1/networks/{ident}", h.networks.show, "network_show"),
        Route("DELETE", "/v1/networks/{ident}", h.networks.delete, "network_delete", 204, since=(1, 27)),
    ]


def _capsules(h: Handlers) -> list[Route]:
    c, one, new = h.capsules, "/v1/capsules/{ident}", capsule_forms.NewCapsule
    return [
        Route("GET", "/v1/capsules", c.list, "capsule_list", query=capsule_forms.CapsuleListQuery),
        Route("POST", "/v1/capsules", c.create, "capsule_create", 202, json_body=True, body=new, shows="Capsule"),
        Route("GET", one, c.show, "capsule_show", query=capsule_forms.CapsuleQuery, shows="Capsule"),
        Route("DELETE", one, c.delete, "capsule_delete", 204, query=capsule_forms.CapsuleDeleteQuery),
    ]


def _nodes(h: Handlers) -> list[Route]:
    n, one = h.nodes, "/v1/nodes/{name}"
    return [
        Route("GET", "/v1/nodes", n.list, "node_list"),
        Route("GET", one, n.show, "node_show"),
        Route("POST", f"{one}/drain", n.drain, "node_drain"),
        Route("POST", f"{one}/undrain", n.undrain, "node_undrain"),
        Route("GET", "/v1/doctor", h.doctor.examine, "doctor"),
    ]


def _joining(h: Handlers) -> list[Route]:
    j, tokens = h.node_joining, "/v1/nodes/tokens"
    signed, most = join_forms.SignedForm, join_forms.MAX_BODY_BYTES
    return [
        Route("POST", tokens, j.create_token, "node_token_create", 201, either=join_forms.NewTokenForm),
        Route("DELETE", f"{tokens}/{{id}}", j.revoke_token, "node_token_revoke", 204),
        Route("POST", "/v1/nodes/join", j.join, "node_join", public=True, body=signed, most_bytes=most),
    ]


def _quotas(h: Handlers) -> list[Route]:
    q, project, named = h.quotas, "/v1/quotas/{project}", "/v1/quota_classes/{name}"
    form = quota_forms.QuotaForm
    return [
        Route("GET", project, q.show, "quota_show", query=quota_forms.UsagesQuery),
        Route("GET", f"{project}/defaults", q.defaults, "quota_defaults"),
        Route("PUT", project, q.update, "quota_update", either=form),
        Route("DELETE", project, q.delete, "quota_delete"),
        Route("GET", named, h.quota_classes.show, "quota_class_show"),
        Route("PUT", named, h.quota_classes.update, "quota_class_update", either=form),
    ]


def _registries(h: Handlers) -> list[Route]:
    r, one = h.registries, "/v1/registries/{ident}"
    new, changed, wrapper = registry_forms.NewRegistry, registry_forms.ChangedRegistry, registry_forms.WRAPPER
    return [
        Route("GET", "/v1/registries", r.list, "registry_list", query=PageQuery),
        Route("POST", "/v1/registries", r.create, "registry_create", 201, json_body=True, body=new, wrapper=wrapper),
        Route("GET", one, r.show, "registry_show"),
        Route("PATCH", one, r.update, "registry_update", body=changed, wrapper=wrapper),
        Route("DELETE", one, r.delete, "registry_delete", 204),
    ]


def _streams(h: Handlers) -> list[Route]:
    archive, path, tar, p = f"{ONE}/archive", live.PathForm, archive_streams.TAR, h.ports
    return [
        Route(
            "GET",
            f"{ONE}/logs/stream",
            h.log_stream.stream,
            "container_logs_stream",
            query=log_streams.LogStreamForm,
            produces=log_streams.PLAIN,
        ),
        Route("GET", archive, h.archive_stream.get, "container_archive_get", query=path, produces=tar),
        Route("PUT", archive, h.archive_stream.put, "container_archive_put", 204, query=path),
        Route("GET", f"{ONE}/port_forward", p.of_container, "container_port_forward", 101, query=PortForm, socket=True),
        Route(
            "GET",
            "/v1/capsules/{ident}/port_forward",
            p.of_capsule,
            "capsule_port_forward",
            101,
            query=PortForm,
            socket=True,
        ),
        Route(
            "GET",
            "/v1/watch",
            h.watch.watch,
            "watch",
            query=watch_streams.WatchForm,
            produces=watch_streams.EVENTS,
        ),
    ]


def _operation(h: Handlers) -> list[Route]:
    health = Route("GET", "/healthcheck", h.health.healthcheck, "healthcheck", public=True, produces="text/plain")
    if h.metrics is None:
        return [health]
    return [health, Route("GET", "/metrics", h.metrics.metrics, "metrics", public=True, produces="text/plain")]
