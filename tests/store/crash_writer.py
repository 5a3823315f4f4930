# SPDX-License-Identifier: Apache-2.0
"""The process that the crash test kills: writes without end and says what was acknowledged.

    python crash_writer.py DATABASE

Eight tasks write transactions of two keys (`a/<task>` and `b/<task>`, always with equal values) and a claim each; a line
`<task> <count> <revision>` follows each acknowledgement. Old history is compacted all the time.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from zun.base.clock import SystemClock
from zun.store.interface import Get, Put, absent
from zun.store.retention import Retention
from zun.store.sqlite import SqliteStore

TASKS = 8


async def write(store: SqliteStore, task: int) -> None:
    """Count on from where the last process was ended."""
    read = await store.transact([], [Get(f"a/{task}")])
    first = int(read.reads[0].value) + 1 if read.reads[0] else 1
    for count in itertools.count(first):
        claim = f"claim/{task}/{count}"
        value = str(count).encode()
        puts = [Put(f"a/{task}", value), Put(claim, b""), Put(f"b/{task}", value)]
        result = await store.transact([absent(claim)], puts)
        assert result.succeeded, claim
        os.write(1, f"{task} {count} {result.revision}\n".encode())


async def main() -> None:
    """Until killed."""
    store = await SqliteStore.open(Path(sys.argv[1]), SystemClock(), retention=Retention(revisions=300))
    async with asyncio.TaskGroup() as tasks:
        for task in range(TASKS):
            tasks.create_task(write(store, task))


if __name__ == "__main__":
    asyncio.run(main())
