# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to them, the embedded store and the one in memory answer alike, restarts of the former included."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from zun.base.clock import ManualClock
from zun.model.errors import ZunError
from zun.store.interface import (
    Compacted,
    Compare,
    CompareField,
    Delete,
    DeletePrefix,
    Event,
    Get,
    KeyValue,
    Op,
    Put,
    RangeResult,
    Store,
    TxnResult,
)
from zun.store.memory import MemoryStore
from zun.store.sqlite import SqliteStore

Lease = int  # the place among the leases granted, since each store names them itself

KEYS = st.sampled_from(["a", "a/", "a/1", "a/2", "a\U0010ffff", "b", "b/é", "ÿ"])
PREFIXES = st.sampled_from(["", "a", "a/", "a/1", "b", "a\U0010ffff", "z"])
VALUES = st.sampled_from([b"", b"0", b"\xff" * 40])
REVISIONS = st.integers(0, 30)
LEASES = st.integers(-1, 2)
COMPARES = st.one_of(
    st.builds(
        Compare,
        KEYS,
        st.sampled_from([CompareField.MOD_REVISION, CompareField.CREATE_REVISION, CompareField.VERSION]),
        st.one_of(st.just(0), st.integers(1, 8)),
    ),
    st.builds(Compare, KEYS, st.just(CompareField.VALUE), VALUES),
)
OPS = st.lists(
    st.one_of(
        st.builds(Put, KEYS, VALUES),
        st.builds(Put, KEYS, VALUES, LEASES.map(lambda place: -1 - place)),  # replaced by the store's own name
        st.builds(Delete, KEYS),
        st.builds(DeletePrefix, PREFIXES),
        st.builds(Get, KEYS),
    ),
    max_size=5,
)
Answer = object


class SameAnswers(RuleBasedStateMachine):
    """Each rule is done to both stores."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory(prefix="zun-store-")
        self.path = Path(self.directory.name) / "store.db"
        self.clock = ManualClock()
        self.memory: Store = MemoryStore(self.clock)
        self.sqlite: Store = self.runner.run(SqliteStore.open(self.path, self.clock))
        self.leases: list[tuple[int, int]] = []

    def teardown(self) -> None:
        self.runner.run(self.sqlite.close())
        self.runner.run(self.memory.close())
        self.runner.close()
        self.directory.cleanup()

    @rule(compares=st.lists(COMPARES, max_size=2), success=OPS, failure=OPS)
    def transact(self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op]) -> None:
        self._same(lambda store: store.transact(compares, self._ops(store, success), self._ops(store, failure)))

    @rule(prefix=PREFIXES, start_after=st.one_of(st.just(""), KEYS), limit=st.integers(0, 3), revision=REVISIONS)
    def look(self, prefix: str, start_after: str, limit: int, revision: int) -> None:
        self._same(lambda store: store.range(prefix, start_after=start_after, limit=limit, revision=revision))

    @rule(key=KEYS, revision=REVISIONS)
    def get(self, key: str, revision: int) -> None:
        self._same(lambda store: store.get(key, revision=revision))

    @rule(back=st.integers(-1, 6))
    def compact(self, back: int) -> None:
        revision = max((self.memory.known_revision() or 0) - back, 1)
        self._same(lambda store: store.compact(revision))

    @rule()
    def grant(self) -> None:
        if len(self.leases) < 3:
            granted = [self.runner.run(store.grant_lease(60)) for store in (self.memory, self.sqlite)]
            self.leases.append((granted[0], granted[1]))

    @rule(place=LEASES)
    def revoke(self, place: int) -> None:
        self._same(lambda store: store.revoke(self._lease(store, place)))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.sqlite.close())
        self.sqlite = self.runner.run(SqliteStore.open(self.path, self.clock))

    @rule(prefix=PREFIXES, start=st.integers(1, 12))
    def watch(self, prefix: str, start: int) -> None:
        self._same(lambda store: self._events(store, prefix, start))

    @invariant()
    def same_revision(self) -> None:
        assert self.memory.known_revision() == self.sqlite.known_revision()

    @staticmethod
    async def _events(store: Store, prefix: str, start: int) -> tuple[Event, ...]:
        last = await store.revision()
        events: list[Event] = []
        seen = start - 1
        async with store.watch(prefix, from_revision=start) as changes:
            while seen < last:
                batch = await anext(changes)
                events += batch.events
                seen = batch.revision
        return tuple(events)

    def _lease(self, store: Store, place: int) -> int:
        known = 0 <= place < len(self.leases)
        return self.leases[place][store is self.sqlite] if known else 99

    def _ops(self, store: Store, ops: Sequence[Op]) -> list[Op]:
        return [
            Put(op.key, op.value, self._lease(store, -1 - op.lease)) if isinstance(op, Put) and op.lease else op
            for op in ops
        ]

    def _same(self, call: Callable[[Store], Awaitable[Answer]]) -> None:
        expected = self._plain(self.memory, self._answer(self.memory, call))
        assert self._plain(self.sqlite, self._answer(self.sqlite, call)) == expected

    def _answer(self, store: Store, call: Callable[[Store], Awaitable[Answer]]) -> Answer:
        async def called() -> Answer:
            return await call(store)

        try:
            return self.runner.run(called())
        except Compacted as compacted:
            return ("compacted", compacted.compact_revision)
        except ZunError as error:
            return (type(error), error.code)

    def _plain(self, store: Store, answer: Answer) -> Answer:
        """The answer with leases by their place."""
        names = {pair[store is self.sqlite]: place + 1 for place, pair in enumerate(self.leases)}

        def plain(kv: KeyValue | None) -> Answer:
            return kv and (kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, names.get(kv.lease, 0))

        match answer:
            case TxnResult():
                return (answer.succeeded, answer.revision, [plain(kv) for kv in answer.reads])
            case RangeResult():
                return (answer.revision, answer.more, [plain(kv) for kv in answer.items])
            case KeyValue():
                return plain(answer)
            case tuple():
                return [(plain(part.kv), part.deleted) if isinstance(part, Event) else part for part in answer]
            case _:
                return answer


TestSameAnswers = SameAnswers.TestCase
TestSameAnswers.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
