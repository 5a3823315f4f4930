# SPDX-License-Identifier: Apache-2.0
"""What both ends agree on: the names of the calls, the sizes of messages, how a connection behaves.

Memory a stream may take, in each process: the HTTP/2 window while its reader stands still, one message in work, and at the node what
was read ahead of the client. The window is fixed: gRPC's own (BDP probing) grows to tens of megabytes a stream on a fast network.
"""

import math

from zun.nodestreams.options import NodeStreamOptions

SERVICE = "zun.node.v1.NodeStreams"

LOGS = "Logs"
SESSION = "Session"
PORT_FORWARD = "PortForward"
GET_ARCHIVE = "GetArchive"
PUT_ARCHIVE = "PutArchive"
EXEC_CREATE = "ExecCreate"
RESIZE = "Resize"
TOP = "Top"
STATS = "Stats"
SEARCH_IMAGES = "SearchImages"
DESCRIBE = "Describe"

WINDOW_BYTES = 256 * 1024
"""So much of one stream may be on its way, or wait for a reader that stands still."""

PIECE_BYTES = 64 * 1024
"""A client cuts what it sends into such pieces."""

MOST_REQUEST_BYTES = 5 * 1024 * 1024
"""A node takes no larger message: a command with its environment is as long as a body of the API at most."""

MOST_ANSWER_BYTES = 1024 * 1024
"""An API server takes no larger message, so that a captured node cannot fill its memory."""

MOST_CONNECTIONS = 1000
"""A node takes so many at once, so that strangers cannot use up its file descriptors; each API server needs one or two."""

FAILURE_TRAILER = "zun-failure-bin"

Arguments = list[tuple[str, int | str]]


def method(name: str) -> str:
    """A call's full name."""
    return f"/{SERVICE}/{name}"


def client_arguments(options: NodeStreamOptions) -> Arguments:
    """How an API server's connection behaves."""
    return [
        *_flow(),
        *_keepalive(options),
        ("grpc.max_receive_message_length", MOST_ANSWER_BYTES),
        ("grpc.max_send_message_length", MOST_REQUEST_BYTES),
        ("grpc.min_reconnect_backoff_ms", _ms(options.connect_seconds)),  # how long one attempt to connect may take
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.use_local_subchannel_pool", 1),  # closing a channel closes its connection
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),  # nothing is said twice
        ("grpc.service_config_disable_resolution", 1),  # a node's name server does not configure us
    ]


def server_arguments(options: NodeStreamOptions) -> Arguments:
    """How a node's connections behave."""
    return [
        *_flow(),
        *_keepalive(options),
        ("grpc.max_receive_message_length", MOST_REQUEST_BYTES),
        ("grpc.max_send_message_length", MOST_ANSWER_BYTES),
        # Clients ask as often as their options say; more would be taken for abuse, and end all their streams.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 0),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.max_connection_idle_ms", 2 * _ms(options.idle_seconds)),
        ("grpc.max_connection_age_ms", _ms(options.connection_age_seconds)),  # streams in flight go on
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_allowed_incoming_connections", MOST_CONNECTIONS),
        ("grpc.so_reuseport", 0),  # two agents on one port are a mistake
    ]


def _flow() -> Arguments:
    return [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", WINDOW_BYTES)]


def _keepalive(options: NodeStreamOptions) -> Arguments:
    return [
        ("grpc.keepalive_time_ms", _ms(options.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _ms(options.keepalive_timeout_seconds)),
        (
            "grpc.http2.ping_timeout_ms",
            _ms(options.keepalive_timeout_seconds),
        ),  # else a minute, whatever the line above says
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)
