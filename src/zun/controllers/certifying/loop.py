# SPDX-License-Identifier: Apache-2.0
"""The certifying loop: signs what nodes ask for, and now and then looks whether every account agrees with its node's record."""

import asyncio
import logging

from zun.base.clock import Clock
from zun.base.workset import Workset
from zun.controllers.certifying.signing import Signer
from zun.model.errors import Denied, Timeout, Unavailable
from zun.model.records import NodeRecord
from zun.services.account_keeping import AccountKeeper
from zun.store import keys
from zun.store.fencing import Fence
from zun.store.view import Change, View

SWEEP_SECONDS = 60.0
"""A node whose removal was cut off half-way keeps its account at most so long."""

_AGAIN_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


class CertifyingLoop:
    """Keeps certificates and accounts while this process leads. Runs once at a time."""

    def __init__(self, *, view: View, clock: Clock, signer: Signer, keeper: AccountKeeper | None) -> None:
        """`keeper`: None where nodes have no accounts."""
        self._view = view
        self._clock = clock
        self._signer = signer
        self._keeper = keeper

    async def run(self, fence: Fence) -> None:
        """Until cancelled. Raises `LeadershipLost` (in a group)."""
        await self._view.ready()
        await self._view.fresh()
        waiting: Workset[str] = Workset()
        later: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(waiting))
            if self._keeper is not None:
                tasks.create_task(self._sweep(self._keeper))
            while True:
                (node,) = await waiting.take(1)
                wait = 0.0 if node in later else await self._answer(fence, node)
                if wait:
                    later.add(node)
                    tasks.create_task(self._name_again(waiting, later, node, wait))

    async def _answer(self, fence: Fence, node: str) -> float:
        try:
            return await self._signer.answer(fence, node)
        except (Unavailable, Timeout) as error:
            _LOG.warning("node %s gets its certificate later: %s", node, error.message)
            return _AGAIN_SECONDS

    async def _name_again(self, waiting: Workset[str], later: set[str], node: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        later.discard(node)
        waiting.add(node)

    async def _follow(self, waiting: Workset[str]) -> None:
        changes = self._view.subscribe()
        self._name_all(waiting)
        while True:
            for change in await changes.batch():
                if change.kind == "reset":
                    self._name_all(waiting)
                elif (node := _asking(change)) is not None:
                    waiting.add(node)

    def _name_all(self, waiting: Workset[str]) -> None:
        waiting.update(record.node for record in self._records())

    def _records(self) -> list[NodeRecord]:
        """The nodes that have an account."""
        return [node.record for node in self._view.nodes() if node.record is not None and node.record.user]

    async def _sweep(self, keeper: AccountKeeper) -> None:
        while True:
            try:
                for node in await keeper.sweep(self._records()):
                    _LOG.info("the account of node %s was made to agree with its record", node)
            except (Unavailable, Timeout, Denied) as error:
                _LOG.warning("Accounts of nodes are looked at later: %s", error.message)
            await self._clock.sleep(SWEEP_SECONDS)


def _asking(change: Change) -> str | None:
    """The node that a change is a request of."""
    node, _, what = change.id.removeprefix(keys.OUT).partition("/")
    asks = change.kind == "other" and not change.deleted and change.id.startswith(keys.OUT) and what == "csr"
    return node if asks else None
