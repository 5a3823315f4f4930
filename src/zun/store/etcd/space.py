# SPDX-License-Identifier: Apache-2.0
"""What it means that etcd has no space for a write: nothing was done, or everything.

etcd refuses for three reasons, in the same words (its `v3rpc/quota.go`, and the appliers of `etcdserver`): the member's guard has no
room for the request, and does nothing; the member is found full *when it executes* the request, which it does nevertheless; the
alarm NOSPACE is on, and nothing that takes space is executed anywhere. The first two raise the alarm, for all members, before
they answer. So a write that was sent before the first refusal may have been done, and one that was sent after it was not.
"""

from zun.base.clock import Clock
from zun.store.etcd.failures import OUT_OF_SPACE, PERHAPS_OUT_OF_SPACE, Failure

SETTLED_SECONDS = 1.0
"""So long after the first refusal the alarm counts as on."""

REMEMBERED_SECONDS = 60.0
"""Without another refusal for so long, the alarm may have been switched off and be raised anew, unnoticed by this process."""


class Space:
    """What one process knows of the alarm, from the answers to its own writes. Times are of the clock's `monotonic`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_since: float | None = None
        self._refused_at = 0.0

    def taken(self, sent: float) -> None:
        """A write that takes space was done."""
        if self._full_since is not None and sent > self._full_since:
            self._full_since = None

    def refused(self, sent: float) -> Failure:
        """A write was refused for want of space; what that means for it."""
        now = self._clock.monotonic()
        if self._full_since is None or now - self._refused_at > REMEMBERED_SECONDS:
            self._full_since = now
        self._refused_at = now
        return OUT_OF_SPACE if sent >= self._full_since + SETTLED_SECONDS else PERHAPS_OUT_OF_SPACE
