# SPDX-License-Identifier: Apache-2.0
"""What a view shows, as figures: looked up when somebody asks."""

from collections.abc import Iterator

from zun.base.clock import Clock
from zun.model.moving import too_many_gone
from zun.store.interface import Store
from zun.store.view import View
from zun.telemetry import metrics
from zun.telemetry.meter import Sample


class ViewFigures:
    """How far the view is, and the nodes in it; call it for samples."""

    def __init__(self, view: View, store: Store, clock: Clock) -> None:
        self._view = view
        self._store = store
        self._clock = clock

    def __call__(self) -> Iterator[Sample]:
        """Look."""
        alive = [node.alive for node in self._view.nodes()]
        yield metrics.NODES, sum(alive), ("up",)
        yield metrics.NODES, len(alive) - sum(alive), ("down",)
        yield metrics.MOVES_HELD_BACK, float(too_many_gone(*self._view.gone_nodes())), ()
        shown = self._view.revision
        yield metrics.VIEW_REVISION, shown, ()
        known = self._store.known_revision()
        if known is not None:
            yield metrics.VIEW_LAG, max(0, known - shown), ()
        since = self._view.stale_since
        yield metrics.VIEW_STALE, 0.0 if since is None else max(0.0, self._clock.now() - since), ()


class ContainerFigures:
    """The containers in the view by status; call it for samples. Only those that changed are looked at: there may be very many."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __call__(self) -> Iterator[Sample]:
        """Look."""
        counts = self._view.counts()
        for status, number in counts.by_status.items():
            yield metrics.CONTAINERS, number, (status.value,)
        yield metrics.PENDING, counts.pending, ()
