# SPDX-License-Identifier: Apache-2.0
"""Figures reach who asks for them, and who asks cannot hold the process up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import httpx
import pytest

from zun.base.clock import ManualClock
from zun.model.errors import Invalid, Unavailable
from zun.store.interface import Put
from zun.store.measured import MeasuredStore
from zun.store.memory import MemoryStore
from zun.telemetry import metrics
from zun.telemetry.exposition import Exposition
from zun.telemetry.meter import Sample
from zun.telemetry.prometheus import CONTENT_TYPE, PrometheusMeter


def lines(meter: PrometheusMeter) -> list[str]:
    return meter.text().decode().splitlines()


def test_counters_histograms_and_gauges_are_shown_with_their_labels() -> None:
    meter = PrometheusMeter()
    meter.count(metrics.REAPED, "container")
    meter.count(metrics.REAPED, "container")
    meter.observe(metrics.STORE_SECONDS, 0.003, "get", "done")
    state = ["running", "exited"]

    def look() -> Iterator[Sample]:
        for each in state:
            yield metrics.NODE_CONTAINERS, 1, (each,)

    meter.watch(look)
    assert 'zun_reaped_total{kind="container"} 2.0' in lines(meter)
    assert 'zun_store_call_seconds_bucket{call="get",le="0.005",result="done"} 1.0' in lines(meter)
    assert 'zun_node_containers{state="exited"} 1.0' in lines(meter)
    state.remove("exited")
    assert not [line for line in lines(meter) if "exited" in line]


def test_what_a_role_counts_is_there_before_anything_happened() -> None:
    meter = PrometheusMeter(metrics.CONTROLLER)
    assert "zun_placements_total 0.0" in lines(meter)
    assert not [line for line in lines(meter) if line.startswith("zun_restarts")]


@pytest.fixture
async def exposition() -> AsyncIterator[Exposition]:
    made = Exposition("127.0.0.1:0", lambda: b"figures\n", CONTENT_TYPE)
    yield made
    await made.close()


async def test_only_metrics_are_served_and_only_to_be_read(exposition: Exposition) -> None:
    url = await exposition.open()
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
        assert (answer.status_code, answer.text) == (200, "figures\n")
        assert answer.headers["content-type"] == CONTENT_TYPE
        assert (await client.get(url.replace("/metrics", "/"))).status_code == 404
        assert (await client.post(url)).status_code == 405


async def test_who_sends_no_request_or_an_endless_one_is_cut_and_holds_up_nobody(exposition: Exposition) -> None:
    url = await exposition.open()
    port = int(url.rpartition(":")[2].removesuffix("/metrics"))
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 5000)
    async with asyncio.timeout(60):
        with suppress(ConnectionError):  # it may be cut while it still sends
            assert await reader.read() == b""
        async with httpx.AsyncClient() as client:
            assert (await client.get(url)).status_code == 200
    for _, each in [*silent, (reader, writer)]:
        each.close()


async def test_an_address_that_is_taken_is_named(exposition: Exposition) -> None:
    url = await exposition.open()
    taken = Exposition(url.removeprefix("http://").removesuffix("/metrics"), lambda: b"", CONTENT_TYPE)
    with pytest.raises(Unavailable, match=r"\[metrics\] listen"):
        await taken.open()


class AwayStore(MemoryStore):
    """A store that does not answer."""

    async def revision(self) -> int:
        raise Unavailable("away")


async def test_calls_of_the_store_are_counted_by_how_they_ended() -> None:
    meter = PrometheusMeter()
    store = MeasuredStore(AwayStore(ManualClock()), meter)
    await store.transact([], [Put("/zun/v/x", b"1")])
    found = await store.get("/zun/v/x")
    assert found is not None
    assert found.value == b"1"
    with pytest.raises(Unavailable):
        await store.revision()
    with pytest.raises(Invalid):
        await store.transact([], [Put("/zun/v/x", b"1"), Put("/zun/v/x", b"2")])
    counted = [line for line in lines(meter) if line.startswith("zun_store_call_seconds_count")]
    assert sorted(counted) == [
        'zun_store_call_seconds_count{call="get",result="done"} 1.0',
        'zun_store_call_seconds_count{call="revision",result="unavailable"} 1.0',
        'zun_store_call_seconds_count{call="transact",result="done"} 1.0',
        'zun_store_call_seconds_count{call="transact",result="refused"} 1.0',
    ]
    await store.close()
