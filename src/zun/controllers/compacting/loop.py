# SPDX-License-Identifier: Apache-2.0
"""The compacting loop: has the store forget history that nobody resumes from any more.

It is the leader's so that one process does it; but nothing depends on there being one. Compaction only ever goes forward, to a
revision that is old by anybody's measure, so a leader that was replaced, or an etcd that compacts by itself, does no harm.
"""

import logging

from zun.base.clock import Clock
from zun.model.errors import Timeout, Unavailable
from zun.store.fencing import Fence
from zun.store.interface import Compacted, Store
from zun.store.retention import Compactor, Retention

_LOG = logging.getLogger(__name__)
LOOK_SECONDS = 10.0


class CompactingLoop:
    """Compacts while this process leads."""

    def __init__(self, *, store: Store, clock: Clock, retention: Retention) -> None:
        """`retention`: the history to keep."""
        self._store = store
        self._clock = clock
        self._retention = retention

    async def run(self, _: Fence) -> None:
        """Until cancelled. A new leader knows no times yet: it bounds the number of revisions at once, and their age after a while."""
        compactor = Compactor(self._retention)
        compacted = 0
        while True:
            try:
                target = compactor.due(self._clock.monotonic(), await self._store.revision(), compacted)
                if target is not None:
                    compacted = target
                    await self._store.compact(target)
                    _LOG.debug("History before revision %d is forgotten", target)
            except Compacted as already:
                compacted = max(compacted, already.compact_revision)
            except (Unavailable, Timeout) as error:
                _LOG.warning("History is forgotten later: %s", error.message)
            await self._clock.sleep(LOOK_SECONDS)
