# SPDX-License-Identifier: Apache-2.0
"""What a view shows, as figures: looked up when somebody asks."""

from collections import Counter as Tally
from collections.abc import Iterator

from zun.base.clock import Clock
from zun.model.moving import too_many_gone
from zun.model.states import Status
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
    """The containers in the view by status; call it for samples. Counted anew only when something changed: there may be very many."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._counted_at = -1
        self._statuses: Tally[Status] = Tally()
        self._pending = 0

    def __call__(self) -> Iterator[Sample]:
        """Look."""
        revision = self._view.project_revision(None)
        if revision != self._counted_at:
            self._counted_at = revision
            derived = [self._view.derive(entry) for entry in self._view.containers()]
            self._statuses = Tally(each.status for each in derived)
            self._pending = sum(each.task_state is not None for each in derived)
        for status in Status:
            yield metrics.CONTAINERS, self._statuses[status], (status.value,)
        yield metrics.PENDING, self._pending, ()
