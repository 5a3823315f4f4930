# SPDX-License-Identifier: Apache-2.0
"""Kept answers take no more memory than the operator allowed, whatever clients ask for."""

import gc
import tracemalloc
import urllib.parse

from support.api import api_world
from zun.api.options import ApiOptions

ALLOWED = 256 * 1024


async def test_long_queries_do_not_fill_the_memory() -> None:
    async with api_world(options=ApiOptions(page_cache_bytes=ALLOWED)) as api:
        await api.member.get("/v1/containers", params={"name": "warm"})
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(60):
                answer = await api.member.get("/v1/containers", params={"name": f"{number}" + "a" * 50_000})
                assert answer.status_code == 200
            urllib.parse.clear_cache()  # the test's own client remembers URLs
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 5 * ALLOWED


async def test_what_fits_is_still_answered_from_memory() -> None:
    async with api_world(options=ApiOptions(page_cache_bytes=ALLOWED)) as api:
        first = await api.member.get("/v1/containers")
        second = await api.member.get("/v1/containers")
        assert first.content == second.content
        assert [route for route, _, _ in api.observed] == ["container_list"] * 2
