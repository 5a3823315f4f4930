# SPDX-License-Identifier: Apache-2.0
"""Every figure there is, on one page: its name, what it means, who tells it (docs/metrics.md is made from it)."""

from enum import StrEnum

import msgspec

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_LONG = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

API, CONTROLLER, COMPUTE, GATE = "api", "controller", "compute", "gate"


class Kind(StrEnum):
    """How a figure behaves."""

    COUNTER = "counter"  # only grows while the process lives; shown with `_total`
    GAUGE = "gauge"  # looked up when somebody asks
    HISTOGRAM = "histogram"  # durations by size; shown with `_bucket`, `_count`, `_sum`


class Metric(msgspec.Struct, frozen=True):
    """A figure. Labels have few values each: never a name or an id of a user's thing."""

    name: str
    kind: Kind
    help: str
    by: tuple[str, ...]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


HTTP_REQUESTS = Metric(
    "zun_http_requests", Kind.COUNTER, "Requests answered.", (API,), labels=("route", "method", "status")
)
HTTP_SECONDS = Metric(
    "zun_http_request_seconds", Kind.HISTOGRAM, "How long requests took.", (API,), ("route", "method"), _SHORT
)
REFUSED_TRANSITIONS = Metric(
    "zun_refused_transitions",
    Kind.COUNTER,
    "Requests that a container's state, or something else of its own, did not allow (409).",
    (API,),
    ("route",),
)
CONTAINERS = Metric("zun_containers", Kind.GAUGE, "Containers by status.", (API,), ("status",))
PENDING = Metric("zun_containers_pending", Kind.GAUGE, "Containers with work to do.", (API,))
NODES = Metric("zun_nodes", Kind.GAUGE, "Nodes by whether they report.", (API, CONTROLLER), ("state",))
MOVES_HELD_BACK = Metric(
    "zun_moves_held_back",
    Kind.GAUGE,
    "1 while so many nodes are gone at once that no container is moved.",
    (API, CONTROLLER),
)
VIEW_REVISION = Metric(
    "zun_view_revision", Kind.GAUGE, "The store's revision that this process shows.", (API, CONTROLLER)
)
VIEW_LAG = Metric(
    "zun_view_lag_revisions", Kind.GAUGE, "How far the view is behind an embedded store.", (API, CONTROLLER)
)
VIEW_STALE = Metric(
    "zun_view_stale_seconds", Kind.GAUGE, "How long the store has not been heard of.", (API, CONTROLLER)
)

LEADER = Metric("zun_leader", Kind.GAUGE, "Whether this process leads (1) or waits to (0).", (CONTROLLER,))
PLACEMENTS = Metric("zun_placements", Kind.COUNTER, "Containers that got a node.", (CONTROLLER,))
REFUSALS = Metric("zun_placement_refusals", Kind.COUNTER, "Containers that no node could take.", (CONTROLLER,))
PLACED_SECONDS = Metric(
    "zun_accept_to_placed_seconds",
    Kind.HISTOGRAM,
    "From the acceptance of a request (by its API server's clock) until a node was chosen and that was written.",
    (CONTROLLER,),
    buckets=_LONG,
)
RESIZES = Metric(
    "zun_resizes", Kind.COUNTER, "Decisions about resizes: granted or refused.", (CONTROLLER,), ("outcome",)
)
REAPED = Metric("zun_reaped", Kind.COUNTER, "Things cleared away: container or image.", (CONTROLLER,), ("kind",))

OPERATIONS_ENDED = Metric(
    "zun_operations",
    Kind.COUNTER,
    "Operations on containers that ended: done, error, or interrupted (by a newer wish or a crash).",
    (COMPUTE,),
    ("verb", "result"),
)
OPERATION_SECONDS = Metric(
    "zun_operation_seconds", Kind.HISTOGRAM, "How long operations took on the node.", (COMPUTE,), ("verb",), _LONG
)
NODE_CONTAINERS = Metric("zun_node_containers", Kind.GAUGE, "Containers of the node by state.", (COMPUTE,), ("state",))
HEARTBEAT_AGE = Metric("zun_heartbeat_age_seconds", Kind.GAUGE, "Since the last heartbeat that arrived.", (COMPUTE,))
REPORTS_WAITING = Metric(
    "zun_reports_waiting", Kind.GAUGE, "Containers and images of which something is still to be told.", (COMPUTE,)
)
RESTARTS = Metric("zun_restarts", Kind.COUNTER, "Starts under a restart policy, also those that failed.", (COMPUTE,))
HEALS = Metric("zun_heals", Kind.COUNTER, "Vanished containers made again, also when that failed.", (COMPUTE,))

GATE_CALLS = Metric(
    "zun_gate_calls",
    Kind.COUNTER,
    "Calls of nodes at the gate, when they end: done, denied (nothing that a node may do), busy (too many of one node), or failed.",
    (GATE,),
    ("call", "result"),
)

STORE_SECONDS = Metric(
    "zun_store_call_seconds",
    Kind.HISTOGRAM,
    "Calls of the store by result: done, unavailable, timeout, or refused.",
    (API, CONTROLLER, COMPUTE, GATE),
    ("call", "result"),
    _SHORT,
)
WATCH_RECONNECTS = Metric(
    "zun_store_watch_reconnects",
    Kind.COUNTER,
    "Watches of etcd that broke and were tried again.",
    (API, CONTROLLER, COMPUTE, GATE),
)

ALL: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
