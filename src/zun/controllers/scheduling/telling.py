# SPDX-License-Identifier: Apache-2.0
"""Tells of decisions that are written: log, figures, traces."""

import logging

from zun.base.clock import Clock
from zun.base.request_scope import in_request
from zun.controllers.scheduling.decisions import Decision
from zun.telemetry.meter import NO_METER, Meter
from zun.telemetry.metrics import PLACED_SECONDS
from zun.telemetry.tracing import NO_TRACER, Tracer

_LOG = logging.getLogger(__name__)


class Teller:
    """Whoever is told of what the leader does."""

    def __init__(self, clock: Clock, meter: Meter = NO_METER, tracer: Tracer = NO_TRACER) -> None:
        self._clock = clock
        self._meter = meter
        self._tracer = tracer

    def written(self, decision: Decision) -> None:
        """It counts from now on."""
        news, intent, now = decision.news, decision.news.behind, self._clock.now()
        with in_request(intent.request_id if intent is not None else ""):
            _LOG.info("%s", news.says)
        if news.counts is not None:
            self._meter.count(news.counts, *news.labels)
        if intent is None:
            return
        if news.waited:
            self._meter.observe(PLACED_SECONDS, max(0.0, now - intent.at))
        attributes = {"zun.container": decision.uuid, "zun.node": news.node, "zun.decision": news.says}
        self._tracer.record(news.span, intent.traceparent, began=news.began, ended=now, attributes=attributes)
