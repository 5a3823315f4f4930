# SPDX-License-Identifier: Apache-2.0
"""The watch: what changes in one's project, in order, resumable, and nothing of anybody else's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from support.api import error_of
from support.serving import PATIENCE_SECONDS, Served, served
from zun.api.streams.options import StreamOptions
from zun.model.records import SeenState
from zun.store import keys
from zun.store.interface import Delete


@pytest.fixture
async def at() -> AsyncIterator[Served]:
    async with served() as made:
        yield made


@pytest.fixture
async def lively() -> AsyncIterator[Served]:
    """A service whose signs of life come quickly."""
    async with served(StreamOptions(heartbeat_seconds=0.05)) as made:
        yield made


class Events:
    """The events of an open watch."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def block(self) -> list[str]:
        """The lines up to the next empty one."""
        lines: list[str] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for line in self._lines:
                if not line:
                    return lines
                lines.append(line)
        return lines

    async def next(self) -> tuple[str, dict[str, Any], int]:
        """The next event that is no sign of life: its name, data and id."""
        while (lines := await self.block()) and lines[0].startswith(":"):
            pass
        fields = dict(line.split(": ", 1) for line in lines)
        return fields["event"], json.loads(fields["data"]), int(fields["id"])

    async def ended(self) -> bool:
        """Whether only signs of life come before the end."""
        while lines := await self.block():
            if not lines[0].startswith(":"):
                return False
        return True


@asynccontextmanager
async def watch(client: httpx.AsyncClient, query: str = "", **headers: str) -> AsyncIterator[Events]:
    async with client.stream("GET", f"/v1/watch?{query}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


@asynccontextmanager
async def never_resting(at: Served) -> AsyncIterator[None]:
    """Another project in which something changes all the time, much more often than there are signs of life."""
    uuid = await at.api.running(at.api.other)

    async def change() -> None:
        while True:
            await at.api.world.sees(uuid, SeenState.RUNNING, exit_code=None)
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as tasks:
        changing = tasks.create_task(change())
        try:
            yield
        finally:
            changing.cancel()


async def test_a_watch_says_where_it_begins_and_then_what_changes(at: Served) -> None:
    async with watch(at.reader) as events:
        name, data, revision = await events.next()
        assert (name, data) == ("ready", {"revision": revision})
        uuid = (await at.api.create(name="web"))["uuid"]
        name, data, created = await events.next()
        assert (name, data["container"]["uuid"], data["container"]["status"]) == ("changed", uuid, "Creating")
        assert created > revision
        await at.api.world.running(uuid)
        statuses = []
        while "Running" not in statuses:
            name, data, _ = await events.next()
            statuses.append(data["container"]["status"])
        assert data["container"] == (await at.reader.get(f"/v1/containers/{uuid}")).json()


async def test_a_container_that_goes_is_told_once(at: Served) -> None:
    uuid = await at.api.running()
    async with watch(at.reader) as events:
        await events.next()
        await at.api.world.reaped(uuid)
        assert (await events.next())[:2] == ("deleted", {"uuid": uuid})


async def test_a_lost_node_changes_its_containers(at: Served) -> None:
    uuid = await at.api.running()
    async with watch(at.reader) as events:
        await events.next()
        await at.api.world.node_dies()
        name, data, _ = await events.next()
        assert (name, data["container"]["uuid"], data["container"]["status"]) == ("changed", uuid, "Unknown")


async def test_whoever_comes_back_with_the_last_id_misses_nothing(at: Served) -> None:
    async with watch(at.reader) as events:
        _, _, last = await events.next()
    one = (await at.api.create(name="one"))["uuid"]
    two = (await at.api.create(name="two"))["uuid"]
    for query, headers in (
        (f"since={last}", {}),
        ("", {"Last-Event-ID": str(last)}),
        ("since=1", {"Last-Event-ID": str(last)}),
    ):
        async with watch(at.reader, query, **headers) as events:
            seen = [await events.next() for _ in range(2)]
            assert [(name, data["container"]["uuid"]) for name, data, _ in seen] == [("changed", one), ("changed", two)]
            assert seen[0][2] < seen[1][2]
    async with watch(at.reader, f"since={seen[1][2]}") as events:
        await at.api.world.reaped(one)
        assert (await events.next())[0] == "deleted"  # and nothing of before


async def test_a_revision_nobody_knows_is_answered_with_a_reset(at: Served) -> None:
    await at.api.create()
    for since in (0, 2**40):
        async with watch(at.reader, f"since={since}") as events:
            name, data, _ = await events.next()
            assert name == "reset"
            assert data["revision"] == at.api.world.view.revision


async def test_projects_do_not_see_each_other_and_admins_may_see_all(at: Served) -> None:
    async with watch(at.other) as theirs, watch(at.admin, "all_projects=1") as everybodys:
        await theirs.next()
        await everybodys.next()
        ours = (await at.api.create())["uuid"]
        other = (await at.api.create(at.api.other))["uuid"]
        assert (await theirs.next())[1]["container"]["uuid"] == other
        assert (await everybodys.next())[1]["container"]["uuid"] == ours
        assert (await everybodys.next())[1]["container"]["uuid"] == other


async def test_one_container_may_be_watched_alone(at: Served) -> None:
    one, two = await at.api.running(), await at.api.running()
    async with watch(at.reader, f"container={two.upper()}") as events:
        await events.next()
        await at.api.world.sees(one, SeenState.EXITED)
        await at.api.world.sees(two, SeenState.EXITED)
        assert (await events.next())[1]["container"]["uuid"] == two


async def test_what_a_member_may_not_see_is_not_in_the_events(at: Served) -> None:
    async with watch(at.reader) as ours, watch(at.admin, "all_projects=1") as admins:
        await ours.next()
        await admins.next()
        await at.api.create()
        assert "host" not in (await ours.next())[1]["container"]
        assert "host" in (await admins.next())[1]["container"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=soon", 400),
        ("since=-1", 400),
        ("container=web", 400),
        ("more=1", 400),
        ("all_projects=perhaps", 400),
        ("all_projects=1", 403),
    ],
)
async def test_bad_watches_are_refused(at: Served, query: str, status: int) -> None:
    assert error_of(await at.member.get(f"/v1/watch?{query}"))[0] == status


async def test_a_bad_last_event_id_is_refused(at: Served) -> None:
    assert error_of(await at.member.get("/v1/watch", headers={"Last-Event-ID": "x"}))[0] == 400


async def test_without_events_there_are_signs_of_life(lively: Served) -> None:
    async with watch(lively.reader) as events:
        await events.next()
        assert await events.block() == [": still here"]
        assert await events.block() == [": still here"]


async def test_a_watcher_whose_token_is_taken_away_is_let_go(lively: Served) -> None:
    async with watch(lively.reader) as events:
        await events.next()
        del lively.api.identity.callers["reader"]
        assert await events.ended()


async def test_a_watcher_whose_token_is_taken_away_is_let_go_although_others_never_rest(lively: Served) -> None:
    async with never_resting(lively), watch(lively.reader) as events:
        await events.next()
        del lively.api.identity.callers["reader"]
        assert await events.ended()


async def test_there_are_signs_of_life_although_others_never_rest(lively: Served) -> None:
    async with never_resting(lively), watch(lively.reader) as events:
        await events.next()
        for _ in range(3):
            assert (await events.block())[0].startswith(":")


async def test_a_watch_ends_when_the_service_stops(at: Served) -> None:
    async with watch(at.reader) as events:
        await events.next()
        at.api.lifetime.end()
        assert await events.ended()


async def test_changes_that_come_together_are_one_event_of_how_things_are(at: Served) -> None:
    uuid = await at.api.running()
    async with watch(at.reader) as events:
        _, _, start = await events.next()
    for state in (SeenState.EXITED, SeenState.RUNNING, SeenState.PAUSED):
        await at.api.world.sees(uuid, state)
    await at.api.world.write(Delete(keys.node("nothing")))
    async with watch(at.reader, f"since={start}") as events:
        name, data, revision = await events.next()
        assert (name, data["container"]["status"]) == ("changed", "Paused")
        await at.api.world.reaped(uuid)
        assert (await events.next())[0] == "deleted"
        assert revision > start
