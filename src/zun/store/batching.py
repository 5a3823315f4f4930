# SPDX-License-Identifier: Apache-2.0
"""Many small conditional writes in few transactions, each within the store's limits."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from zun.store.fencing import MAX_COMPARES
from zun.store.interface import MAX_TXN_OPS, Compare, Op, Put

SHARED_BYTES = 600_000
"""Pieces that share a transaction are at most this large together; a larger one goes alone."""

_OP_BYTES = 128


class Piece(Protocol):
    """What must be written together, under its conditions."""

    @property
    def compares(self) -> Sequence[Compare]:
        """The conditions."""

    @property
    def ops(self) -> Sequence[Op]:
        """The writes."""


P = TypeVar("P", bound=Piece)


def batches(pieces: Sequence[P], *, spare: int = 0) -> Iterator[list[P]]:
    """The pieces in groups that each fit into one transaction, in order; `spare` conditions and writes are left to the caller."""
    batch: list[P] = []
    compares: set[Compare] = set()
    ops = size = 0
    for piece in pieces:
        joined = compares | set(piece.compares)
        fits = (
            len(joined) <= MAX_COMPARES - spare
            and ops + len(piece.ops) <= MAX_TXN_OPS - spare
            and size + _size(piece) <= SHARED_BYTES
        )
        if batch and not fits:
            yield batch
            batch, joined, ops, size = [], set(piece.compares), 0, 0
        batch.append(piece)
        compares = joined
        ops += len(piece.ops)
        size += _size(piece)
    if batch:
        yield batch


def merged(batch: Sequence[Piece]) -> tuple[list[Compare], list[Op]]:
    """The conditions (each once) and writes of a group."""
    compares = dict.fromkeys(compare for piece in batch for compare in piece.compares)
    return list(compares), [op for piece in batch for op in piece.ops]


def _size(piece: Piece) -> int:
    values = sum(len(op.value) for op in piece.ops if isinstance(op, Put))
    return values + _OP_BYTES * (len(piece.ops) + len(piece.compares))
