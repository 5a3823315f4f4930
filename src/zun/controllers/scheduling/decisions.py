# SPDX-License-Identifier: Apache-2.0
"""What the leader decided about one container: the conditions it rests on and the writes; several may share a transaction."""

from collections.abc import Iterator, Sequence

import msgspec

from zun.controllers.scheduling.cluster import Held
from zun.store.fencing import MAX_COMPARES
from zun.store.interface import MAX_TXN_OPS, Compare, Op, Put

SHARED_BYTES = 600_000
"""Decisions that share a transaction are at most this large together; a larger one goes alone."""

_OP_BYTES = 128


class Decision(msgspec.Struct, frozen=True):
    """`held` is what the container will have once this is written, None for nothing.

    `otherwise` is what to write when the store refuses this as too large.
    """

    uuid: str
    compares: tuple[Compare, ...]
    ops: tuple[Op, ...]
    held: Held | None = None
    otherwise: "Decision | None" = None

    def size(self) -> int:
        """Roughly its bytes in a transaction."""
        values = sum(len(op.value) for op in self.ops if isinstance(op, Put))
        return values + _OP_BYTES * (len(self.ops) + len(self.compares))


def batches(decisions: Sequence[Decision]) -> Iterator[list[Decision]]:
    """Decisions in groups that each fit into one transaction, in order."""
    batch: list[Decision] = []
    compares: set[Compare] = set()
    ops = size = 0
    for decision in decisions:
        joined = compares | set(decision.compares)
        fits = (
            len(joined) <= MAX_COMPARES
            and ops + len(decision.ops) <= MAX_TXN_OPS
            and size + decision.size() <= SHARED_BYTES
        )
        if batch and not fits:
            yield batch
            batch, joined, ops, size = [], set(decision.compares), 0, 0
        batch.append(decision)
        compares = joined
        ops += len(decision.ops)
        size += decision.size()
    if batch:
        yield batch


def merged(batch: Sequence[Decision]) -> tuple[list[Compare], list[Op]]:
    """The conditions (each once) and writes of a group."""
    compares = dict.fromkeys(compare for decision in batch for compare in decision.compares)
    return list(compares), [op for decision in batch for op in decision.ops]
