# SPDX-License-Identifier: Apache-2.0
"""Figures in Prometheus' text format, with the process's own memory, time and files."""

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

from zun.telemetry.meter import Look
from zun.telemetry.metrics import ALL, Kind, Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST


class PrometheusMeter:
    """A meter (see `zun.telemetry.meter`) with a registry of its own. To be read from the event loop of those who are looked at.

    What those in `told_by` count without labels is shown from the start, at 0: nobody can be alerted by what is absent.
    """

    def __init__(self, *told_by: str) -> None:
        self._registry = CollectorRegistry()
        self._made: dict[str, Counter | Histogram] = {}
        self._counters: dict[tuple[str, tuple[str, ...]], Counter] = {}
        self._histograms: dict[tuple[str, tuple[str, ...]], Histogram] = {}
        self._looks: list[Look] = []
        self._registry.register(_Gauges(self._looks))
        ProcessCollector(registry=self._registry)
        for metric in ALL:
            if metric.kind is not Kind.GAUGE and not metric.labels and not set(told_by).isdisjoint(metric.by):
                self._make(metric)

    def count(self, metric: Metric, *labels: str) -> None:
        """One more of a counter."""
        counter = self._counters.get((metric.name, labels))  # looking it up by its labels costs more than counting
        if counter is None:
            made = self._make(metric)
            assert isinstance(made, Counter)  # noqa: S101 - the metric declares itself one
            counter = self._counters[metric.name, labels] = made.labels(*labels) if labels else made
        counter.inc()

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """A duration for a histogram."""
        histogram = self._histograms.get((metric.name, labels))
        if histogram is None:
            made = self._make(metric)
            assert isinstance(made, Histogram)  # noqa: S101 - the metric declares itself one
            histogram = self._histograms[metric.name, labels] = made.labels(*labels) if labels else made
        histogram.observe(seconds)

    def watch(self, look: Look) -> None:
        """Ask `look` for gauges at each reading."""
        self._looks.append(look)

    def text(self) -> bytes:
        """All figures now."""
        return generate_latest(self._registry)

    def _make(self, metric: Metric) -> Counter | Histogram:
        made = self._made.get(metric.name)
        if made is None:
            if metric.kind is Kind.HISTOGRAM:
                made = Histogram(
                    metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self._registry
                )
            else:
                made = Counter(metric.name, metric.help, metric.labels, registry=self._registry)
            self._made[metric.name] = made
        return made


class _Gauges(Collector):
    """What is looked up."""

    def __init__(self, looks: list[Look]) -> None:
        self._looks = looks

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing up front: registering must not look anything up."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look."""
        families: dict[str, GaugeMetricFamily] = {}
        for look in self._looks:
            for metric, value, labels in look():
                family = families.get(metric.name)
                if family is None:
                    family = families[metric.name] = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                family.add_metric(labels, value)
        yield from families.values()
