# SPDX-License-Identifier: Apache-2.0
"""Where traces are told: one request's way through the processes, as pieces of work with a beginning, an end and a parent.

A place in a trace is a W3C traceparent (https://www.w3.org/TR/trace-context/), which travels in records as plain text; "" is no trace,
and then nothing is told. Times are seconds since the epoch, by the clock of the machine that tells.
"""

from collections.abc import Mapping
from typing import Protocol

Attributes = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """A piece of work that goes on."""

    @property
    def traceparent(self) -> str:
        """Its place in the trace, for what it causes."""

    def end(self, name: str, attributes: Attributes, error: str = "") -> None:
        """It is over; what it was is known by now."""


class Tracer(Protocol):
    """Takes pieces of work; must be fast and never fails."""

    def begin(self, parent: str) -> Span:
        """A request begins, in the trace that its client follows, else in a new one."""

    def record(
        self, name: str, parent: str, *, began: float, ended: float, attributes: Attributes, error: str = ""
    ) -> str:
        """A piece of work that is over; returns its traceparent. Without a parent nothing is told."""


class _NoSpan:
    traceparent = ""

    def end(self, name: str, attributes: Attributes, error: str = "") -> None:
        """Forgotten."""


class NoTracer:
    """Nobody follows requests."""

    def begin(self, parent: str) -> Span:  # noqa: ARG002 - the port's
        """A span nobody is told of."""
        return _NoSpan()

    def record(self, *_: object, **__: object) -> str:
        """Forgotten."""
        return ""


NO_TRACER: Tracer = NoTracer()
