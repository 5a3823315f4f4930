# SPDX-License-Identifier: Apache-2.0
"""`GET /metrics`: figures for Prometheus. What requests did is counted as they go; what there is, is looked up when somebody asks."""

from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from zun.api.requests import Call
from zun.base.clock import Clock
from zun.model.moving import too_many_gone
from zun.model.states import Status
from zun.store.interface import Store
from zun.store.view import View

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_CONFLICT = 409
_CONTAINER_ROUTES = "container_"


class Metrics:
    """All figures, in a registry of their own. `observe` is what the access layer calls."""

    def __init__(self, registry: CollectorRegistry, view: View, store: Store, clock: Clock) -> None:
        self.registry = registry
        self._requests = Counter(
            "zun_http_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "zun_http_request_seconds",
            "How long requests took.",
            ["route", "method"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._refused = Counter(
            "zun_refused_transitions",
            "Requests that a container's state, or something else of its own, did not allow (409).",
            ["route"],
            registry=registry,
        )
        self._figures: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        registry.register(_State(view, store, clock))
        ProcessCollector(registry=registry)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request. `route` is a route's name, so there are few of them."""
        figures = self._figures.get((route, method, status))
        if figures is None:  # looking figures up by their labels costs more than counting
            figures = self._requests.labels(route, method, str(status)), self._seconds.labels(route, method)
            self._figures[route, method, status] = figures
        figures[0].inc()
        figures[1].observe(seconds)
        if status == _CONFLICT and route.startswith(_CONTAINER_ROUTES):
            self._refused.labels(route).inc()


class MetricsHandlers:
    """The endpoint."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def metrics(self, _: Call) -> Response:
        """All figures as text."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)


class _State(Collector):
    """What there is, from the view."""

    def __init__(self, view: View, store: Store, clock: Clock) -> None:
        self._view = view
        self._store = store
        self._clock = clock
        self._counted_at = -1
        self._statuses: Tally[Status] = Tally()
        self._pending = 0

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing up front: registering must not look anything up."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look."""
        self._count_containers()
        containers = GaugeMetricFamily("zun_containers", "Containers by status.", labels=["status"])
        for status in Status:
            containers.add_metric([status.value], self._statuses[status])
        yield containers
        yield GaugeMetricFamily("zun_containers_pending", "Containers with work to do.", value=self._pending)
        nodes = GaugeMetricFamily("zun_nodes", "Nodes by whether they report.", labels=["state"])
        alive = [node.alive for node in self._view.nodes()]
        nodes.add_metric(["up"], sum(alive))
        nodes.add_metric(["down"], len(alive) - sum(alive))
        yield nodes
        gone, counted = self._view.gone_nodes()
        yield GaugeMetricFamily(
            "zun_moves_held_back",
            "1 while so many nodes are gone at once that no container is moved.",
            value=float(too_many_gone(gone, counted)),
        )
        yield from self._store_figures()

    def _store_figures(self) -> Iterator[GaugeMetricFamily]:
        shown = self._view.revision
        yield GaugeMetricFamily("zun_view_revision", "The store's revision that this process shows.", value=shown)
        known = self._store.known_revision()
        if known is not None:
            lag = max(0, known - shown)
            yield GaugeMetricFamily("zun_view_lag_revisions", "How far the view is behind its store.", value=lag)
        since = self._view.stale_since
        stale = 0.0 if since is None else max(0.0, self._clock.now() - since)
        yield GaugeMetricFamily("zun_view_stale_seconds", "How long the store has not been heard of.", value=stale)

    def _count_containers(self) -> None:
        """Anew only when something changed: there may be very many."""
        revision = self._view.project_revision(None)
        if revision == self._counted_at:
            return
        self._counted_at = revision
        derived = [self._view.derive(entry) for entry in self._view.containers()]
        self._statuses = Tally(each.status for each in derived)
        self._pending = sum(each.task_state is not None for each in derived)
