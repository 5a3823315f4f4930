# SPDX-License-Identifier: Apache-2.0
"""What a transaction means: evaluated against a state, without touching it.

The embedded stores hand in their state and apply the events that come out; so both decide alike.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from zun.model.errors import NotFound
from zun.store.interface import Compare, CompareField, Delete, DeletePrefix, Event, Get, KeyValue, Op, Put


class State(Protocol):
    """The newest state of a store, as far as a transaction looks at it."""

    def current(self, key: str) -> KeyValue | None:
        """The key as it is now."""

    def live_keys(self, prefix: str) -> Sequence[str]:
        """All existing keys with `prefix`, in key order."""

    def has_lease(self, lease: int) -> bool:
        """Whether the lease exists."""


class Transaction(msgspec.Struct, frozen=True):
    """A checked transaction (see `limits`)."""

    compares: Sequence[Compare]
    success: Sequence[Op]
    failure: Sequence[Op]


class Outcome(msgspec.Struct, frozen=True):
    """What a transaction does: its changes in order (none: it does not raise the revision), and what it read."""

    succeeded: bool
    events: tuple[Event, ...]
    reads: tuple[KeyValue | None, ...]


def evaluate(state: State, transaction: Transaction, revision: int) -> Outcome:
    """Decide a transaction whose changes, if any, will carry `revision`.

    Raises `NotFound` when a write names a lease that does not exist; then nothing of it may be applied.
    """
    succeeded = all(_holds(state, compare) for compare in transaction.compares)
    events: list[Event] = []
    reads: list[KeyValue | None] = []
    pending: dict[str, KeyValue | None] = {}
    for op in transaction.success if succeeded else transaction.failure:
        match op:
            case Put():
                written = _put(state, op, revision)
                pending[op.key] = written
                events.append(Event(written, deleted=False))
            case Delete():
                if state.current(op.key) is not None:
                    pending[op.key] = None
                    events.append(deletion(op.key, revision))
            case DeletePrefix():
                for key in state.live_keys(op.prefix):
                    pending[key] = None
                    events.append(deletion(key, revision))
            case Get():
                reads.append(pending[op.key] if op.key in pending else state.current(op.key))
    return Outcome(succeeded, tuple(events), tuple(reads))


def deletion(key: str, revision: int) -> Event:
    """The event of a key's end; its `kv` says only which key and when, as etcd's does."""
    return Event(KeyValue(key, b"", 0, revision, 0), deleted=True)


def _put(state: State, op: Put, revision: int) -> KeyValue:
    if op.lease and not state.has_lease(op.lease):
        raise unknown_lease(op.lease)
    before = state.current(op.key)
    if before is None:
        return KeyValue(op.key, op.value, revision, revision, 1, op.lease)
    return KeyValue(op.key, op.value, before.create_revision, revision, before.version + 1, op.lease)


def unknown_lease(lease: int) -> NotFound:
    """The refusal of a lease that ended or never was."""
    return NotFound(f"Lease {lease:x} does not exist or has ended; grant a new one.")


def _holds(state: State, compare: Compare) -> bool:
    found = state.current(compare.key)
    if compare.field is CompareField.VALUE:
        return found is not None and found.value == compare.expected
    if found is None:
        return compare.expected == 0
    if compare.field is CompareField.MOD_REVISION:
        return found.mod_revision == compare.expected
    if compare.field is CompareField.CREATE_REVISION:
        return found.create_revision == compare.expected
    return found.version == compare.expected
