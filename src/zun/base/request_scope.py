# SPDX-License-Identifier: Apache-2.0
"""For which request the present task works: log lines and traces say so, however deep they come from, third parties' included.

A task inherits the scope of the task that makes it. Work for several requests, or one that outlives the request that began it, is
made with `of_nobody()` as its context.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context


class RequestScope:
    """A request: its id, and its place in a trace (W3C traceparent, "" when nobody traces it)."""

    __slots__ = ("request_id", "traceparent")

    def __init__(self, request_id: str = "", traceparent: str = "") -> None:
        self.request_id = request_id
        self.traceparent = traceparent


NOBODY = RequestScope()
_REQUEST_ID, _TRACEPARENT = "zun-request-id", "traceparent"
_SCOPE: ContextVar[RequestScope] = ContextVar("zun_request_scope", default=NOBODY)


def current() -> RequestScope:
    """The request of the present task."""
    return _SCOPE.get()


def enter(scope: RequestScope) -> None:
    """From now on this task works for that request; for a task that ends with it."""
    _SCOPE.set(scope)


@contextmanager
def in_request(request_id: str, traceparent: str = "") -> Iterator[None]:
    """Work for a request within the block."""
    token = _SCOPE.set(RequestScope(request_id, traceparent))
    try:
        yield
    finally:
        _SCOPE.reset(token)


def as_told() -> list[tuple[str, str]]:
    """The present request as metadata of a call to another process."""
    scope = current()
    return [(_REQUEST_ID, scope.request_id), (_TRACEPARENT, scope.traceparent)]


@contextmanager
def told(metadata: Mapping[str, str]) -> Iterator[None]:
    """Work within the block for the request that such metadata tells of."""
    with in_request(metadata.get(_REQUEST_ID, ""), metadata.get(_TRACEPARENT, "")):
        yield


def of_nobody() -> Context:
    """A context for a task that works for no single request."""
    context = copy_context()
    context.run(_SCOPE.set, NOBODY)
    return context
