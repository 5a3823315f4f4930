# SPDX-License-Identifier: Apache-2.0
"""Errors across the connection: class, code, message and HTTP status survive, and nothing else gets through.

A node may be captured, so what it says is taken as far as a node may say it: one of the ten classes, a code of the usual form, a text of
bounded length, and of other statuses than its class has only those that the node's own work gives (never 401).
"""

import re

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from zun.model.errors import (
    Conflict,
    Denied,
    Internal,
    Invalid,
    NotFound,
    Precondition,
    QuotaExceeded,
    Timeout,
    Unavailable,
    Unsupported,
    ZunError,
)
from zun.nodestreams import messages_pb2 as pb
from zun.nodestreams.protocol import FAILURE_TRAILER

MOST_CHARACTERS = 1000

_STATUS: dict[type[ZunError], grpc.StatusCode] = {
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    Denied: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    Precondition: grpc.StatusCode.ABORTED,
    QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Timeout: grpc.StatusCode.DEADLINE_EXCEEDED,
    Internal: grpc.StatusCode.INTERNAL,
}
_KINDS = {kind.__name__: kind for kind in _STATUS}
_OTHER_STATUSES = frozenset({400, 413})

_LOST = (
    ("certificate has expired", "The certificate of node {node} has expired; an operator must renew it."),
    ("not yet valid", "The certificate of node {node} is not valid yet; an operator must compare the clocks."),
    (
        "verif",
        "What answers at the address of node {node} cannot show that it is that node; an operator must look at it.",
    ),
    (
        "handshake failed",
        "What answers at the address of node {node} cannot show that it is that node; an operator must look at it.",
    ),
    ("resolv", "The address of node {node} is not known here; an operator must look at its [compute] stream_address."),
    (
        "socket closed",
        "Node {node} does not stay connected; it may not take this API server's certificate. Try again in a moment.",
    ),
    ("failed to connect", "Node {node} cannot be reached. Try again in a moment."),
    ("", "The connection to node {node} is lost. Try again in a moment."),
)
"""What gRPC says of a connection, by words in it, in words of ours: the first that fits. Its own are for who reads the log."""

_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}|")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def told(error: ZunError) -> pb.Failure:
    """An error as a node says it."""
    kind = next((known for known in _STATUS if isinstance(error, known)), Internal)
    status = 0 if error.http_status == kind.status else error.http_status
    return pb.Failure(kind=kind.__name__, code=error.code, message=_plain(error.message), status=status)


async def end(context: grpc.aio.ServicerContext, error: ZunError) -> None:
    """End a call with an error. Never returns: it raises gRPC's own way out."""
    failure = told(error)
    trailer = ((FAILURE_TRAILER, failure.SerializeToString()),)
    await context.abort(_STATUS[_KINDS[failure.kind]], failure.kind, trailer)


def heard(failure: pb.Failure, node: str) -> ZunError:
    """An error as far as it is believed."""
    kind = _KINDS.get(failure.kind, Internal)
    message = _plain(failure.message) or f"Node {node} failed and did not say why; look at its log."
    code = failure.code if _CODE.fullmatch(failure.code) else None
    status = failure.status if failure.status in _OTHER_STATUSES else None
    return kind(message, code=code, status=status)


def meaning(error: grpc.aio.AioRpcError, node: str) -> ZunError:
    """What a call that failed means: what the node said, or what became of the connection."""
    for name, value in error.trailing_metadata() or ():
        if name == FAILURE_TRAILER and isinstance(value, bytes):
            return _parsed(value, node)
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Timeout(f"Node {node} did not answer in time; it may or may not have happened.")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Unsupported(f"Node {node} runs an older version that cannot do this; upgrade it.")
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return Unavailable(
            f"Node {node} does not take this API server's certificate; an operator must look at its log."
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _exhausted(node, details)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return Unavailable(next(said for words, said in _LOST if words in details.lower()).format(node=node))
    return Internal(f"Node {node} failed and did not say why; look at its log.")


def _parsed(value: bytes, node: str) -> ZunError:
    try:
        return heard(pb.Failure.FromString(value), node)
    except DecodeError:
        return Internal(f"Node {node} failed and said nonsense of it; look at its log.")


def _exhausted(node: str, details: str) -> ZunError:
    if "larger than max" in details:
        return Internal(f"Node {node} said more at once than is taken; look at its log.")
    return Unavailable(f"Node {node} is busy with too many requests; try again in a moment.")


def _plain(text: str) -> str:
    shown = _CONTROLS.sub("\ufffd", text)
    return shown if len(shown) <= MOST_CHARACTERS else shown[: MOST_CHARACTERS - 1] + "…"
