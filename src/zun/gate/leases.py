# SPDX-License-Identifier: Apache-2.0
"""Whose a lease is: a node's are those that it was granted here, and the one that its sign of life hangs on.

The second holds at every gate and after its restart, without being written anywhere. A lease that is granted and not used before its
node goes to another gate is lost: the node is told that it ended, and takes a new one.
"""

from zun.store import keys
from zun.store.interface import Store

MOST_LEASES = 8
"""A node has that many at a time that were granted here; it needs one or two."""


class Leases:
    """Leases of nodes, by user. A user that is gone should be forgotten."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._granted: dict[str, dict[int, None]] = {}

    def granted(self, user: str, lease: int) -> None:
        """It was made for this user. The oldest of too many is not the user's any more; it ends by itself."""
        held = self._granted.setdefault(user, {})
        held[lease] = None
        while len(held) > MOST_LEASES:
            del held[next(iter(held))]

    async def belongs(self, node: str, user: str, lease: int) -> bool:
        """Whether the lease is this node's. Raises `Unavailable`, `Timeout`."""
        if lease in self._granted.get(user, ()):
            return True
        found = await self._store.get(keys.node_alive(node))
        if found is None or found.lease != lease:
            return False
        self.granted(user, lease)
        return True

    def ended(self, user: str, lease: int) -> None:
        """There is no such lease any more."""
        self._granted.get(user, {}).pop(lease, None)

    def forget(self, user: str) -> None:
        """The user is one no more."""
        self._granted.pop(user, None)
