# SPDX-License-Identifier: Apache-2.0
"""Quota holds under every interleaving: never passed, never leaked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.desk import P1, P2, Desk, context, desk_in
from support.world import World, world_on
from zun.base.clock import SystemClock
from zun.model.container import Mount
from zun.model.creation import ContainerChanges
from zun.model.errors import Conflict, QuotaExceeded, ZunError
from zun.model.records import Limits, Usage
from zun.model.resources import add, held_by
from zun.services.options import ContainerOptions
from zun.store import codec, keys
from zun.store.interface import Compare, Op, Put, Store, TxnResult
from zun.store.memory import MemoryStore
from zun.store.sqlite import SqliteStore
from zun.store.view import ContainerEntry

UNLIMITED = Limits(containers=-1, cpu=-1, memory=-1, disk=-1)


@asynccontextmanager
async def a_store(kind: str, path: Path) -> AsyncIterator[Store]:
    clock = SystemClock()
    store = MemoryStore(clock) if kind == "memory" else await SqliteStore.open(path / "store.sqlite", clock)
    try:
        yield store
    finally:
        await store.close()


def used(world: World, project: str = P1) -> Usage:
    """What the project's containers add up to."""
    total = Usage()
    for entry in world.view.containers(project):
        total = add(total, held_by(entry.record()))
    return total


def outcomes(results: list[ContainerEntry | BaseException]) -> tuple[list[ContainerEntry], list[ZunError]]:
    made = [result for result in results if isinstance(result, ContainerEntry)]
    refused = [result for result in results if isinstance(result, ZunError)]
    assert len(made) + len(refused) == len(results)
    return made, refused


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_fifty_at_once_against_a_limit_of_forty_end_with_forty(kind: str, tmp_path: Path) -> None:
    limits = Limits(containers=40, cpu=-1, memory=-1, disk=-1)
    async with (
        a_store(kind, tmp_path) as store,
        world_on(store, SystemClock()) as world,
        desk_in(world, limits=limits) as desk,
    ):
        before = await store.revision()
        made, refused = outcomes(
            await asyncio.gather(*(desk.create(name=f"c{n:02}") for n in range(50)), return_exceptions=True)
        )
        assert (len(made), len(refused)) == (40, 10)
        for refusal in refused:
            assert isinstance(refusal, QuotaExceeded)
            assert (refusal.http_status, refusal.code) == (403, "over-quota")
            assert refusal.message.endswith("['containers']")
        assert world.view.usage(P1)[0].containers == 40
        assert len(list(world.view.containers(P1))) == 40
        assert await store.revision() - before <= 5, "they share transactions"


async def test_two_services_that_accept_for_one_project_do_not_pass_its_limit(tmp_path: Path) -> None:
    limits = Limits(containers=40, cpu=-1, memory=-1, disk=-1)
    async with (
        a_store("memory", tmp_path) as store,
        world_on(store, SystemClock()) as one,
        world_on(store, SystemClock()) as two,
        desk_in(one, limits=limits) as left,
        desk_in(two, limits=limits) as right,
    ):
        calls = [(left if n % 2 else right).create(name=f"c{n:02}") for n in range(50)]
        made, _ = outcomes(await asyncio.gather(*calls, return_exceptions=True))
        await one.view.fresh()
        assert len(made) == one.view.usage(P1)[0].containers == 40


async def test_every_exceeded_resource_is_named(world: World) -> None:
    async with desk_in(world, limits=Limits(containers=5, cpu=1, memory=100, disk=-1)) as desk:
        with pytest.raises(QuotaExceeded, match=r"\['cpu', 'memory'\]$"):
            await desk.create(cpu=1.5, memory=101)
        await desk.create(cpu=1.0, memory=100)


async def test_the_projects_own_limit_wins(world: World) -> None:
    await world.put(keys.project_limits(P1), Limits(containers=1))
    async with desk_in(world) as desk:
        await desk.create()
        with pytest.raises(QuotaExceeded):
            await desk.create()


async def test_one_refusal_in_a_batch_does_not_harm_the_others(world: World) -> None:
    async with desk_in(world, ContainerOptions(unique_name_scope="project"), UNLIMITED) as desk:
        await desk.create(name="taken")
        names = ["a", "taken", "b", "b", "c"]
        results = await asyncio.gather(*(desk.create(name=name) for name in names), return_exceptions=True)
        made, refused = outcomes(results)
        assert [entry.name for entry in made] == ["a", "b", "c"]
        assert all(isinstance(refusal, Conflict) for refusal in refused)
        assert world.view.usage(P1)[0] == used(world)


async def test_a_name_that_another_service_took_meanwhile_fails_only_its_own_create(world: World) -> None:
    """The view does not hold name claims, so the transaction finds out."""
    async with desk_in(world, ContainerOptions(unique_name_scope="project"), UNLIMITED) as desk:
        await world.write(Put(keys.unique_name(P1, "b"), b'{"uuid":"x"}'), Put(keys.quota(P1), codec.encode(Usage())))
        results = await asyncio.gather(*(desk.create(name=name) for name in "abc"), return_exceptions=True)
        made, refused = outcomes(results)
        assert [entry.name for entry in made] == ["a", "c"]
        assert len(refused) == 1


async def test_creates_of_many_projects_that_come_together_share_transactions(world: World) -> None:
    async with desk_in(world, limits=UNLIMITED) as desk:
        before = await world.store.revision()
        projects = [f"{number:032}" for number in range(12)]
        made = await asyncio.gather(*(desk.create(context(projects[n % 12])) for n in range(48)))
        assert await world.store.revision() - before <= 5
        assert len({entry.uuid for entry in made}) == 48
        assert all(world.view.usage(project)[0] == used(world, project) for project in projects)
        assert all(world.view.usage(project)[0].containers == 4 for project in projects)


class Meddled(MemoryStore):
    """A store in which somebody is always faster than a transaction for several projects: P2's usage changes before it."""

    meddled = 0

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        usages = [op.key for op in success if isinstance(op, Put) and op.key.startswith(keys.QUOTAS)]
        if len(usages) > 1 and keys.quota(P2) in usages:
            self.meddled += 1
            found = await self.get(keys.quota(P2))
            value = found.value if found is not None else codec.encode(Usage())
            await super().transact([], [Put(keys.quota(P2), value)])
        await asyncio.sleep(0)
        return await super().transact(compares, success, failure)


async def test_who_interferes_with_one_project_keeps_no_other_from_its_containers() -> None:
    store = Meddled(SystemClock())
    async with world_on(store, SystemClock()) as world, desk_in(world, limits=Limits(5, -1, -1, -1)) as desk:
        projects = ["3" * 32, "4" * 32, P1, P2, P1, P2, P1, P2, P1, P2, P1, P2, P1, P2]
        calls = [desk.create(context(project)) for project in projects]
        made, refused = outcomes(await asyncio.gather(*calls, return_exceptions=True))
        assert store.meddled, "they were written together at first"
        assert (len(made), [type(refusal) for refusal in refused]) == (12, [QuotaExceeded, QuotaExceeded])
        assert world.view.usage(P1)[0] == used(world, P1)
        assert world.view.usage(P2)[0] == used(world, P2)
    await store.close()


async def test_a_name_of_the_whole_cloud_that_two_projects_ask_for_at_once_is_given_once(world: World) -> None:
    async with desk_in(world, ContainerOptions(unique_name_scope="global"), UNLIMITED) as desk:
        first = [desk.create(context(f"{number:032}"), name=f"first-{number}") for number in range(2)]
        calls = [
            desk.create(context(project), name=name) for project in (P1, P2) for name in ("same", f"own-{project}")
        ]
        made, refused = outcomes(await asyncio.gather(*first, *calls, return_exceptions=True))
        assert sorted(entry.name for entry in made if entry.name in {"same", f"own-{P1}", f"own-{P2}"}) == sorted(
            ["same", f"own-{P1}", f"own-{P2}"]
        )
        assert [type(refusal) for refusal in refused] == [Conflict]


async def test_big_files_are_split_over_transactions(world: World) -> None:
    async with desk_in(world, limits=UNLIMITED) as desk:
        content = b"x" * 256 * 1024
        mounts = [Mount(f"/f{n}", file=n) for n in range(4)]
        calls = [desk.create(files=dict.fromkeys(range(4), content), mounts=mounts) for _ in range(5)]
        made, refused = outcomes(await asyncio.gather(*calls, return_exceptions=True))
        assert (len(made), refused) == (5, [])


async def test_a_caller_that_went_away_before_the_write_gets_no_container(world: World) -> None:
    async with desk_in(world) as desk:
        call = asyncio.ensure_future(desk.create())
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await desk.create(name="after")
        assert world.view.usage(P1)[0] == used(world)


class UnhurriedStore(MemoryStore):
    """A store in whose transactions time passes, so that others get in between reading and writing."""

    async def transact(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        for _ in range(len(success) % 4):
            await asyncio.sleep(0)
        return await super().transact(compares, success, failure)


async def test_a_resize_and_creates_at_once_count_both() -> None:
    store = UnhurriedStore(SystemClock())
    async with world_on(store, SystemClock()) as world, desk_in(world, limits=UNLIMITED) as desk:
        await world.node()
        entries = [await desk.create(memory=64) for _ in range(4)]
        for entry in entries:
            await world.running(entry.uuid)
        resizes = [desk.service.resize(context(), entry, ContainerChanges(memory=100)) for entry in entries]
        results = await asyncio.gather(*resizes, *(desk.create(memory=64) for _ in range(8)), return_exceptions=True)
        assert outcomes(results)[1] == []
        assert world.view.usage(P1)[0] == used(world)
    await store.close()


step = st.one_of(
    st.tuples(st.just("create"), st.integers(1, 400)),
    st.tuples(st.just("other"), st.integers(1, 400)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("resize"), st.integers(1, 600)),
    st.tuples(st.just("refuse"), st.integers(0, 9)),
    st.tuples(st.just("pause"), st.just(0)),
)


async def play(desk: Desk, what: str, number: int) -> None:
    """One step of somebody, with what leader and node do about it."""
    world = desk.world
    living = list(world.view.containers(P1))
    if what == "create":
        await desk.create(run=True, memory=number, cpu=number / 100)
    elif what == "other":
        await desk.create(context(P2), memory=number)
    elif what == "pause":
        await asyncio.sleep(0)
    elif living:
        entry = living[number % len(living)]
        if what == "delete":
            await world.reaped(entry.uuid)
        else:
            if not entry.node:
                await world.running(entry.uuid)
            await desk.service.resize(context(), entry, ContainerChanges(memory=number + 4))
            await decide(world, entry, refused=what == "refuse")


async def decide(world: World, entry: ContainerEntry, *, refused: bool) -> None:
    record, place = entry.record(), entry.place()
    if place is None or not record.intents:
        return
    place.resize_done = record.seq
    place.resize_refused = {record.seq: "no room"} if refused else {}
    await world.put(keys.place(entry.uuid), place)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(step, min_size=1, max_size=6), min_size=1, max_size=6))
def test_whatever_happens_at_once_limits_hold_and_nothing_leaks(rounds: list[list[tuple[str, int]]]) -> None:
    async def run() -> None:
        clock = SystemClock()
        store = UnhurriedStore(clock)
        limits = Limits(containers=6, cpu=12, memory=1000, disk=-1)
        async with world_on(store, clock) as world, desk_in(world, limits=limits) as desk:
            await world.node()
            for steps in rounds:
                results = await asyncio.gather(*(play(desk, *one) for one in steps), return_exceptions=True)
                assert all(result is None or isinstance(result, (ZunError, AssertionError)) for result in results)
                await world.view.fresh()
                usage = world.view.usage(P1)[0]
                assert usage == used(world)
                assert usage.containers <= 6
                assert usage.millicpus <= 12_000
                assert usage.memory <= 1000
                assert world.view.usage(P2)[0] == used(world, P2)
        await store.close()

    asyncio.run(run())
