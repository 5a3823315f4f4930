# SPDX-License-Identifier: Apache-2.0
"""Writers that count what was acknowledged, and a watcher that must see each of it exactly once, in order: load for failure tests."""

import asyncio
import random
from types import TracebackType

from zun.model.errors import Timeout, Unavailable
from zun.store.interface import Put, Store, absent

PATIENCE_SECONDS = 60.0


class InOrder(random.Random):
    """Leaves the order of the members as it is configured, so that a test knows who is spoken to first."""

    def shuffle(self, x: object) -> None:
        """Nothing."""


class Load:
    """Runs while its context lasts; `check` afterwards says whether the promises of the store were kept.

    A write that fails as `Unavailable` is made again and must find nothing of the first try; one that fails as `Timeout` is
    left in doubt. No other error may come.
    """

    def __init__(self, writing: Store, watching: Store, root: str, *, writers: int = 4) -> None:
        self.acknowledged: dict[str, int] = {}
        self.in_doubt: set[str] = set()
        self.refused = 0
        self.seen: list[tuple[str, int]] = []
        self._writing = writing
        self._watching = watching
        self._root = root
        self._writers = writers
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []
        self._stopping = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> "Load":
        start = await self._watching.revision() + 1
        await self._tasks.__aenter__()
        self._running = [self._tasks.create_task(self._write(number)) for number in range(self._writers)]
        self._watcher = self._tasks.create_task(self._watch(start))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._stopping = True
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.wait(self._running)
                while not set(self.acknowledged) <= {key for key, _ in self.seen}:
                    await self._change()
        self._watcher.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    async def acknowledges(self, more: int = 40) -> None:
        """Wait until so many more writes were acknowledged."""
        wanted = len(self.acknowledged) + more
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.acknowledged) < wanted:
                await self._change()

    async def is_refused(self) -> None:
        """Wait until a write was refused."""
        wanted = self.refused + 1
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.refused < wanted:
                await self._change()

    def check(self) -> None:
        """What was acknowledged was seen once, with its revision; what else was seen had been in doubt; all in order."""
        keys = [key for key, _ in self.seen]
        assert len(keys) == len(set(keys)), "something was seen twice"
        assert [revision for _, revision in self.seen] == sorted(revision for _, revision in self.seen)
        seen = dict(self.seen)
        assert {key: seen.get(key) for key in self.acknowledged} == self.acknowledged
        assert set(seen) - set(self.acknowledged) <= self.in_doubt

    async def _write(self, writer: int) -> None:
        number, again = 0, False
        while not self._stopping:
            key = f"{self._root}{writer}/{number:06}"
            try:
                result = await self._writing.transact([absent(key)], [Put(key, b"x" * 100)])
            except Unavailable:
                again = True
                self.refused += 1
                self._tell()
                continue
            except Timeout:
                self.in_doubt.add(key)
            else:
                assert result.succeeded, f"{key} was written by a try that was {'refused' if again else 'never made'}"
                self.acknowledged[key] = result.revision
            number, again = number + 1, False
            self._tell()
            await asyncio.sleep(0.005)  # so that a test on a busy machine is not all writing

    async def _watch(self, start: int) -> None:
        async with self._watching.watch(self._root, from_revision=start) as changes:
            async for batch in changes:
                self.seen += [(event.kv.key, event.kv.mod_revision) for event in batch.events]
                self._tell()

    async def _change(self) -> None:
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
