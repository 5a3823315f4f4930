# SPDX-License-Identifier: Apache-2.0
"""Live things: who may, in which state, how much at once, and what a node's silence looks like."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext

import pytest

from support.live import ADMIN, MEMBER, READER, LiveWorld, context, live_world
from support.records import record
from zun.drivers.runtime.types import Channel, Chunk, ExecRequest, LogQuery
from zun.model.caller import RequestContext
from zun.model.errors import Conflict, Denied, Invalid, Timeout, Unavailable
from zun.model.records import SeenState
from zun.model.states import ALLOWED, Action, Status
from zun.services.live_options import LiveOptions
from zun.services.nodelive_fake import FakeSession
from zun.store.view import ContainerEntry

OUT, ERR = Channel.STDOUT, Channel.STDERR
SMALL = LiveOptions(max_output_bytes=1024, max_log_bytes=1024, max_archive_bytes=1024)
IMPATIENT = LiveOptions(node_timeout_seconds=0.2)


@pytest.fixture
async def at() -> AsyncIterator[LiveWorld]:
    async with live_world(SMALL) as made:
        yield made


@pytest.fixture
async def soon() -> AsyncIterator[LiveWorld]:
    """A world that does not wait long for a node."""
    async with live_world(IMPATIENT) as made:
        yield made


Call = Callable[[LiveWorld, RequestContext, ContainerEntry], Awaitable[object]]


async def _no_data() -> AsyncIterator[bytes]:
    yield b""


async def _stream_logs(at: LiveWorld, ctx: RequestContext, entry: ContainerEntry) -> None:
    async with at.live.logs(ctx, entry, LogQuery()):
        pass


async def _stream_archive(at: LiveWorld, ctx: RequestContext, entry: ContainerEntry) -> None:
    async with at.live.get_archive(ctx, entry, "/f"):
        pass


CALLS: dict[str, tuple[Action, str, Call]] = {
    "logs": (Action.LOGS, "reader", lambda at, ctx, entry: at.live.logs_text(ctx, entry, LogQuery())),
    "log stream": (Action.LOGS, "reader", _stream_logs),
    "execute": (
        Action.EXECUTE,
        "member",
        lambda at, ctx, entry: at.live.execute(ctx, entry, ExecRequest(["ok"]), run=False, interactive=True),
    ),
    "execute_resize": (
        Action.EXECUTE_RESIZE,
        "member",
        lambda at, ctx, entry: at.live.execute_resize(ctx, entry, "0" * 64, 80, 24),
    ),
    "attach": (Action.ATTACH, "member", lambda at, ctx, entry: at.live.attach_token(ctx, entry)),
    "resize": (Action.RESIZE, "member", lambda at, ctx, entry: at.live.resize(ctx, entry, 80, 24)),
    "top": (Action.TOP, "reader", lambda at, ctx, entry: at.live.top(ctx, entry, None)),
    "stats": (Action.STATS, "reader", lambda at, ctx, entry: at.live.stats(ctx, entry)),
    "get_archive": (Action.GET_ARCHIVE, "reader", lambda at, ctx, entry: at.live.get_archive_bytes(ctx, entry, "/f")),
    "archive stream": (Action.GET_ARCHIVE, "reader", _stream_archive),
    "put_archive": (
        Action.PUT_ARCHIVE,
        "member",
        lambda at, ctx, entry: at.live.put_archive_bytes(ctx, entry, "/d", b"tar"),
    ),
    "upload stream": (
        Action.PUT_ARCHIVE,
        "member",
        lambda at, ctx, entry: at.live.put_archive(ctx, entry, "/d", _no_data()),
    ),
}


@pytest.fixture(params=CALLS, ids=str)
def case(request: pytest.FixtureRequest) -> tuple[Action, str, Call]:
    return CALLS[request.param]


async def test_every_call_asks_policy_first(at: LiveWorld, case: tuple[Action, str, Call]) -> None:
    _, level, call = case
    entry = await at.running(interactive=True)
    refused = [context(), context("member", project="p2")] + ([READER] if level == "member" else [])
    for ctx in refused:
        with pytest.raises(Denied) as denied:
            await call(at, ctx, entry)
        assert denied.value.http_status == 403
    assert at.node.asked == []


_REACHED = {
    Status.CREATED: SeenState.CREATED,
    Status.RUNNING: SeenState.RUNNING,
    Status.STOPPED: SeenState.EXITED,
    Status.PAUSED: SeenState.PAUSED,
    Status.RESTARTING: SeenState.RESTARTING,
    Status.DEAD: SeenState.DEAD,
    Status.ERROR: SeenState.MISSING,
    Status.UNKNOWN: SeenState.UNKNOWN,
}


@pytest.mark.parametrize("status", _REACHED)
async def test_every_call_follows_the_state_table(
    at: LiveWorld, case: tuple[Action, str, Call], status: Status
) -> None:
    action, _, call = case
    entry = await at.running(interactive=True)
    at.node.files[entry.uuid, "/f"] = b"tar"
    await at.world.sees(entry.uuid, _REACHED[status])
    if status in ALLOWED[action]:
        names_nothing = action is Action.EXECUTE_RESIZE  # no such command was prepared
        with pytest.raises(Invalid) if names_nothing else nullcontext():
            await call(at, MEMBER, entry)
    else:
        with pytest.raises(Conflict) as conflict:
            await call(at, MEMBER, entry)
        assert conflict.value.code == "invalid-state-exception"
        assert conflict.value.message == f"Cannot {action.value} container {entry.uuid} in {status.value} state."
        assert at.node.asked == []


async def test_a_lost_node_is_a_503_with_the_reason(at: LiveWorld, case: tuple[Action, str, Call]) -> None:
    entry = await at.running(interactive=True)
    await at.world.node_dies()
    with pytest.raises(Unavailable, match="n1 does not report"):
        await case[2](at, MEMBER, entry)


async def test_a_node_that_cannot_be_reached_is_a_503(at: LiveWorld) -> None:
    entry = await at.running()
    del at.directory.nodes["n1"]
    with pytest.raises(Unavailable, match="cannot be reached"):
        await at.live.top(MEMBER, entry, None)


async def test_a_silent_node_is_a_timeout_and_not_a_wait_for_ever(
    soon: LiveWorld, case: tuple[Action, str, Call]
) -> None:
    if case in (CALLS["upload stream"], CALLS["attach"]):
        return  # the first is bounded by whoever sends the data, the second asks no node
    entry = await soon.running(interactive=True)
    soon.node.hanging = True
    with pytest.raises(Timeout, match=r"n1 did not answer within 0\.2 seconds"):
        await case[2](soon, MEMBER, entry)


async def test_a_container_that_was_never_placed_has_no_logs(at: LiveWorld) -> None:
    entry = await at.world.wish(record())
    await at.world.cannot_place(entry.uuid)
    with pytest.raises(Invalid, match="never put on a node"):
        await at.live.logs_text(MEMBER, entry, LogQuery())


async def test_an_admin_reads_the_logs_of_another_project(at: LiveWorld) -> None:
    entry = await at.running()
    at.node.logs_of[entry.uuid] = [Chunk(OUT, b"hello")]
    assert await at.live.logs_text(ADMIN, entry, LogQuery()) == "hello"


# Logs


async def test_logs_are_text_whatever_the_container_wrote(at: LiveWorld) -> None:
    entry = await at.running()
    at.node.logs_of[entry.uuid] = [Chunk(OUT, b"caf\xc3"), Chunk(OUT, b"\xa9 \xff"), Chunk(ERR, b"!")]
    assert await at.live.logs_text(MEMBER, entry, LogQuery()) == "café �!"
    assert await at.live.logs_text(MEMBER, entry, LogQuery(stdout=False)) == "!"


async def test_a_log_that_is_too_long_is_refused_naming_the_stream(at: LiveWorld) -> None:
    entry = await at.running()
    at.node.logs_of[entry.uuid] = [Chunk(OUT, b"x" * 600)] * 2
    with pytest.raises(Invalid, match=f"/v1/containers/{entry.uuid}/logs/stream") as refused:
        await at.live.logs_text(MEMBER, entry, LogQuery())
    assert refused.value.http_status == 413
    assert at.node.open_streams == 0


async def test_leaving_a_log_stream_ends_it_on_the_node(at: LiveWorld) -> None:
    entry = await at.running()
    at.node.follow[entry.uuid] = asyncio.Queue()
    async with at.live.logs(MEMBER, entry, LogQuery(follow=True)) as chunks:
        at.node.follow[entry.uuid].put_nowait(Chunk(OUT, b"line"))
        assert (await anext(chunks)).data == b"line"
        assert at.node.open_streams == 1
    assert at.node.open_streams == 0


# Exec


async def _mixed(session: FakeSession, _: ExecRequest | None) -> int:
    for number in range(20):  # more pieces than the session holds
        await session.emit(bytes([number, 0xFF]), ERR if number % 2 else OUT)
    return 3


async def test_a_command_gives_its_whole_binary_output_and_its_exit_code(at: LiveWorld) -> None:
    entry = await at.running()
    at.node.programs["mixed"] = _mixed
    result = await at.live.execute(MEMBER, entry, ExecRequest(["mixed"]), run=True, interactive=False)
    assert result.output == b"".join(bytes([number, 0xFF]) for number in range(20))
    assert (result.exit_code, result.exec_id, result.token) == (3, None, None)
    assert at.node.open_sessions == 0


async def test_output_beyond_the_bound_is_a_clear_refusal_and_frees_the_session(at: LiveWorld) -> None:
    async def flood(session: FakeSession, _: ExecRequest | None) -> int:
        while True:
            await session.emit(b"x" * 100)

    entry = await at.running()
    at.node.programs["yes"] = flood
    with pytest.raises(Invalid, match="more than 1024 bytes") as refused:
        await at.live.execute(MEMBER, entry, ExecRequest(["yes"]), run=True, interactive=False)
    assert refused.value.http_status == 413
    assert at.node.open_sessions == 0


async def test_a_command_may_take_longer_than_a_node_may_take_to_answer(soon: LiveWorld) -> None:
    gate = asyncio.Event()

    async def slow(session: FakeSession, _: ExecRequest | None) -> int:
        await gate.wait()
        return 0

    entry = await soon.running()
    soon.node.programs["slow"] = slow
    task = asyncio.create_task(soon.live.execute(MEMBER, entry, ExecRequest(["slow"]), run=True, interactive=False))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(2 * IMPATIENT.node_timeout_seconds, gate.set)
    assert (await task).exit_code == 0


async def test_a_caller_who_stops_waiting_frees_the_session(at: LiveWorld) -> None:
    started = asyncio.Event()

    async def forever(session: FakeSession, _: ExecRequest | None) -> int:
        started.set()
        await asyncio.get_running_loop().create_future()
        return 0

    entry = await at.running()
    at.node.programs["forever"] = forever
    task = asyncio.create_task(at.live.execute(MEMBER, entry, ExecRequest(["forever"]), run=True, interactive=False))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert at.node.open_sessions == 0


@pytest.mark.parametrize("interactive", [True, False])
async def test_a_prepared_command_has_an_id_and_a_token_and_a_stdin_if_interactive(
    at: LiveWorld, *, interactive: bool
) -> None:
    entry = await at.running()
    result = await at.live.execute(MEMBER, entry, ExecRequest(["sh"], tty=True), run=False, interactive=interactive)
    assert result.output is None
    assert result.exec_id is not None
    assert result.token is not None
    assert at.node.execs[result.exec_id] == (entry.uuid, ExecRequest(["sh"], tty=True, stdin=interactive))


async def test_resizing_a_command_that_is_not_of_this_container_is_a_400(at: LiveWorld) -> None:
    entry = await at.running()
    with pytest.raises(Invalid) as refused:
        await at.live.execute_resize(MEMBER, entry, "0" * 64, 80, 24)
    assert refused.value.http_status == 400


async def test_attaching_needs_an_interactive_container(at: LiveWorld) -> None:
    entry = await at.running(interactive=False)
    with pytest.raises(Invalid, match="interactive=true") as refused:
        await at.live.attach_token(MEMBER, entry)
    assert refused.value.code == "no-interactive-flag"


async def test_one_can_attach_before_the_start_when_one_says_so(at: LiveWorld) -> None:
    entry = await at.running(interactive=True)
    await at.world.sees(entry.uuid, SeenState.CREATED)
    with pytest.raises(Conflict):
        await at.live.attach_token(MEMBER, entry)
    assert await at.live.attach_token(MEMBER, entry, before_start=True)


# Archives


async def test_archives_come_and_go_whole(at: LiveWorld) -> None:
    entry = await at.running()
    await at.live.put_archive_bytes(MEMBER, entry, "/d", b"t" * 1000)
    stat, data = await at.live.get_archive_bytes(MEMBER, entry, "/d")
    assert (stat.size, data) == (1000, b"t" * 1000)


async def test_archives_that_are_too_large_are_refused_naming_the_raw_endpoint(at: LiveWorld) -> None:
    entry = await at.running()
    at.node.files[entry.uuid, "/f"] = b"t" * 1025
    with pytest.raises(Invalid, match=f"GET /v1/containers/{entry.uuid}/archive") as refused:
        await at.live.get_archive_bytes(MEMBER, entry, "/f")
    assert refused.value.http_status == 413
    with pytest.raises(Invalid, match=f"PUT /v1/containers/{entry.uuid}/archive"):
        await at.live.put_archive_bytes(MEMBER, entry, "/d", b"t" * 1025)
    assert at.node.open_streams == 0


async def test_a_path_that_is_not_there_is_a_400(at: LiveWorld) -> None:
    entry = await at.running()
    for call in (
        at.live.get_archive_bytes(MEMBER, entry, "/nowhere"),
        at.live.put_archive_bytes(MEMBER, entry, "/nowhere", b""),
        at.live.put_archive(MEMBER, entry, "/nowhere", _no_data()),
    ):
        with pytest.raises(Invalid, match="/nowhere") as refused:
            await call
        assert refused.value.http_status == 400


# Images


async def test_a_search_asks_a_node_that_is_up(at: LiveWorld) -> None:
    at.node.found_images = [{"name": "busybox"}]
    assert await at.live.search_images(READER, "busy", exact=False) == [{"name": "busybox"}]
    await at.world.node_dies()
    with pytest.raises(Unavailable, match="No host is up"):
        await at.live.search_images(READER, "busy", exact=False)


async def test_a_search_does_not_fail_because_a_node_is_out_of_reach(at: LiveWorld) -> None:
    at.node.found_images = [{"name": "busybox"}]
    await at.world.node("a-frozen-one")
    assert await at.live.search_images(READER, "busy", exact=False) == [{"name": "busybox"}]
    for name in ("b", "c"):
        await at.world.node(name)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await at.live.search_images(READER, "busy", exact=False)
