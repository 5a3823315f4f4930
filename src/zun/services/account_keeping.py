# SPDX-License-Identifier: Apache-2.0
"""Accounts follow records: the user that a node's record names has the node's rights in the store, and nobody else has.

The record is the fact, written in transactions; accounts are made to agree with it afterwards, by whoever changed the record and, should
that one have died, by the leader. So it does not matter how many do it at once, or who comes last.
"""

from collections.abc import Iterable

from zun.model import subjects
from zun.model.errors import Unavailable
from zun.model.records import NodeRecord
from zun.store import codec, keys
from zun.store.accounts import NodeAccounts
from zun.store.interface import Store

_LOOKS = 8


class AccountKeeper:
    """Makes accounts agree with records. Every method may be repeated; raises `Unavailable`, `Timeout` or `Denied`."""

    def __init__(self, store: Store, accounts: NodeAccounts) -> None:
        self._store = store
        self._accounts = accounts

    async def settle(self, node: str) -> NodeRecord | None:
        """Make the node's account agree with its record; returns that record, None when there is none and nobody has its rights."""
        known = await self._record(node)
        for _ in range(_LOOKS):
            if known is None or not known.user:
                await self._accounts.take_all(node)
            else:
                await self._accounts.give(node, known.user)
            before, known = known, await self._record(node)
            if (before.user if before else None) == (known.user if known else None):
                return known
        raise Unavailable(f"Others keep changing node {node}; look at it and try again.")

    async def sweep(self, records: Iterable[NodeRecord]) -> list[str]:
        """Make all accounts agree with all records; returns the nodes that had to be settled. `records` may be a little old."""
        named = {record.user: record.node for record in records if record.user}
        users = set(await self._accounts.users())
        nodes = {named[user] for user in named.keys() - users}
        nodes |= {node for user in users - named.keys() if (node := subjects.node_of_user(user)) is not None}
        for node in sorted(nodes):
            await self.settle(node)
        return sorted(nodes)

    async def _record(self, node: str) -> NodeRecord | None:
        found = await self._store.get(keys.node(node))
        return codec.decode(NodeRecord, found.value) if found is not None else None
