# SPDX-License-Identifier: Apache-2.0
"""How a node becomes known: its record, with the integer id that old clients print, written by the control plane alone.

Needs the store and no view, so that whoever lets nodes in can do it in a transaction of its own.
"""

import msgspec

from zun.base.clock import Clock
from zun.model.errors import Conflict, Precondition
from zun.model.records import NameClaim, NodeRecord
from zun.services.optimistic import ATTEMPTS, Current, Write
from zun.store import codec, keys
from zun.store.interface import Put, Store, absent

_NUMBERS = keys.unique_name("node-number", "")
"""Claims on the integer ids; they stay, so that an id is never given twice."""


class Newcomer(msgspec.Struct, frozen=True):
    """Who asks to be known: the node's name, its uuid, the key (hex) its secrets are sealed for, and its user of a shared store."""

    node: str
    uuid: str
    public_key: str
    user: str = ""


class NodeRegistration:
    """Makes nodes known."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def register(self, newcomer: Newcomer) -> NodeRecord:
        """Make the node known, or take note of its new key; what operators said of it stays. Asks no policy.

        Raises `Precondition` when others were always faster.
        """
        delays = ATTEMPTS.delays()
        while True:
            wanted = await self.wanted(newcomer)
            if not wanted.ops or (await self._store.transact(wanted.compares, wanted.ops)).succeeded:
                return wanted.result
            delay = next(delays, None)
            if delay is None:
                raise Precondition(f"Other nodes kept registering before {newcomer.node}; start it again.")
            await self._clock.sleep(delay)

    async def wanted(self, newcomer: Newcomer, *, again: bool = True) -> Write[NodeRecord]:
        """The transaction that makes the node known, for one that writes more beside it. Without writes it is known already.

        Raises `Conflict` for a name that is known, unless it may be taken `again`.
        """
        found = await self._store.get(keys.node(newcomer.node))
        if found is None:
            return await self._first(newcomer)
        if not again:
            raise Conflict(
                f"There is a node {newcomer.node} already. Join under another name; to replace that node, make a token for its name: "
                f"`zunctl node token --name {newcomer.node}`."
            )
        current = Current(found.key, codec.decode(NodeRecord, found.value), found.mod_revision, found.value)
        known = codec.decode(NodeRecord, found.value)
        if (known.public_key, known.user) == (newcomer.public_key, newcomer.user):
            return Write(result=known, compares=[], ops=[])
        known.public_key, known.user = newcomer.public_key, newcomer.user
        known.updated_at = self._clock.now()
        return Write(result=known, compares=[current.unchanged()], ops=[current.put(known)])

    async def _first(self, newcomer: Newcomer) -> Write[NodeRecord]:
        key = keys.node(newcomer.node)
        number = await self._free_number()
        new = NodeRecord(
            node=newcomer.node,
            number=number,
            created_at=self._clock.now(),
            public_key=newcomer.public_key,
            user=newcomer.user,
        )
        claim = f"{_NUMBERS}{number:09}"
        return Write(
            result=new,
            compares=[absent(key), absent(claim)],
            ops=[Put(key, codec.encode(new)), Put(claim, codec.encode(NameClaim(newcomer.uuid)))],
        )

    async def _free_number(self) -> int:
        taken = await self._store.range(_NUMBERS, keys_only=True)
        return 1 + (int(taken.items[-1].key.removeprefix(_NUMBERS)) if taken.items else 0)
