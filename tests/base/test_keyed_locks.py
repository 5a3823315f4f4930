# SPDX-License-Identifier: Apache-2.0
"""What is done under one key is done one after the other; what is done under others, meanwhile."""

import asyncio

from zun.base.keyed_locks import KeyedLocks


async def test_one_key_one_at_a_time_and_others_meanwhile() -> None:
    locks: KeyedLocks[str] = KeyedLocks()
    said: list[str] = []
    go_on = asyncio.Event()

    async def work(key: str, name: str) -> None:
        async with locks.holding(key):
            said.append(f"{name} begins")
            if name == "first":
                await go_on.wait()
            said.append(f"{name} ends")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work("a", "first"))
        tasks.create_task(work("a", "second"))
        other = tasks.create_task(work("b", "other"))
        await other
        assert said == ["first begins", "other begins", "other ends"]
        go_on.set()
    assert said[3:] == ["first ends", "second begins", "second ends"]


async def test_a_key_that_nobody_holds_is_forgotten_also_after_an_error() -> None:
    locks: KeyedLocks[str] = KeyedLocks()

    async def fail() -> None:
        async with locks.holding("a"):
            raise ValueError

    results = await asyncio.gather(fail(), fail(), return_exceptions=True)
    assert [type(one) for one in results] == [ValueError, ValueError]
    assert len(locks) == 0


async def test_who_gives_up_waiting_lets_the_next_one_in() -> None:
    locks: KeyedLocks[str] = KeyedLocks()

    async def hold() -> None:
        async with locks.holding("a"):
            pass

    async with locks.holding("a"):
        impatient = asyncio.create_task(hold())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
    await hold()
    assert len(locks) == 0
