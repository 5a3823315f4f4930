# SPDX-License-Identifier: Apache-2.0
"""Prepared commands (execs): whose container each belongs to, bounded in number and forgotten when nobody uses them."""

from collections import Counter, OrderedDict

from zun.base.clock import Clock
from zun.model.errors import NotFound


class ExecSessions:
    """Exec ids by container. When there are too many, the container that has most loses its least recently used one:
    nobody can push out what others prepared."""

    def __init__(self, clock: Clock, *, limit: int, idle_seconds: float) -> None:
        self._clock = clock
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def add(self, uuid: str, exec_id: str) -> None:
        """An exec was prepared in container `uuid`."""
        self._expire()
        self._known[exec_id] = (uuid, self._clock.monotonic())
        if len(self._known) > self._limit:
            [(most, _)] = Counter(owner for owner, _ in self._known.values()).most_common(1)
            del self._known[next(known for known, (owner, _) in self._known.items() if owner == most)]

    def check(self, uuid: str, exec_id: str) -> None:
        """Raises `NotFound` unless the exec is known and of that container: an id alone opens nobody else's container."""
        self._expire()
        known = self._known.get(exec_id)
        if known is None or known[0] != uuid:
            raise NotFound(f"Container {uuid} has no prepared command {exec_id}; prepare it again with execute.")
        self._known[exec_id] = (uuid, self._clock.monotonic())
        self._known.move_to_end(exec_id)

    def _expire(self) -> None:
        too_old = self._clock.monotonic() - self._idle_seconds
        while self._known and next(iter(self._known.values()))[1] < too_old:
            self._known.popitem(last=False)
