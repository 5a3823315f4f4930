# SPDX-License-Identifier: Apache-2.0
"""The same done for many: in order, a few at a time, with failures as they are."""

import asyncio

import pytest

from zun.base.side_by_side import side_by_side
from zun.model.errors import Unavailable


async def test_answers_come_in_order_and_no_more_than_told_are_at_work() -> None:
    at_work, most = 0, 0

    async def work(number: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return number * 2

    assert await side_by_side(range(10), work, at_once=3) == [number * 2 for number in range(10)]
    assert most == 3


async def test_a_failure_is_raised_as_it_is_and_ends_the_others() -> None:
    ended = 0

    async def work(number: int) -> None:
        nonlocal ended
        if number == 1:
            raise Unavailable("Away.")
        try:
            await asyncio.Event().wait()
        finally:
            ended += 1

    with pytest.raises(Unavailable, match="Away"):
        await side_by_side(range(3), work, at_once=3)
    assert ended == 2


async def test_nothing_to_do_is_done_at_once() -> None:
    assert await side_by_side([], asyncio.sleep, at_once=1) == []
