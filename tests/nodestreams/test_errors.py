# SPDX-License-Identifier: Apache-2.0
"""What a node says of a failure comes out as it went in; what a captured node says beyond that does not."""

import math
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from support.liar import lied_to_by
from support.live_nodes import ScriptedNode
from support.stream_pair import Pair, pair
from zun.base.ids import new_uuid
from zun.drivers.runtime.types import ExecRequest, LogQuery, Top
from zun.model.errors import (
    Conflict,
    Denied,
    Internal,
    Invalid,
    NotFound,
    Precondition,
    QuotaExceeded,
    Timeout,
    Unavailable,
    Unsupported,
    ZunError,
)
from zun.nodestreams import messages_pb2 as pb
from zun.nodestreams.failures import MOST_CHARACTERS
from zun.nodestreams.protocol import FAILURE_TRAILER
from zun.services.nodelive_fake import FakeNode, FakeSession

U = new_uuid()
ERRORS = [
    Invalid("change it"),
    Invalid("too much", code="too-large", status=413),
    Denied("not you"),
    NotFound("no such thing", code="image-not-found", status=400),
    Conflict("busy", code="invalid-state-exception"),
    Precondition("changed"),
    QuotaExceeded("too many"),
    Unsupported("cannot"),
    Unavailable("away"),
    Timeout("slow"),
    Internal("our fault"),
]


@pytest.fixture
async def at() -> AsyncIterator[Pair]:
    async with pair(FakeNode()) as made:
        yield made


def node_of(at: Pair) -> FakeNode:
    return at.live  # type: ignore[return-value]


def facts(error: ZunError) -> tuple[object, ...]:
    return type(error), error.message, error.code, error.http_status, error.retryable


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__}-{error.http_status}")
async def test_an_error_keeps_class_text_code_and_status(at: Pair, error: ZunError) -> None:
    for verb, call in {
        "stats": lambda: at.far.stats(U),
        "put_archive": lambda: at.far.put_archive(U, "/", _nothing()),
    }.items():
        node_of(at).failing[verb] = error
        with pytest.raises(ZunError) as raised:
            await call()
        assert facts(raised.value) == facts(error)
    for verb, context in {
        "logs": lambda: at.far.logs(U, LogQuery()),
        "attach": lambda: at.far.attach(U),
        "get_archive": lambda: at.far.get_archive(U, "/"),
    }.items():
        node_of(at).failing[verb] = error
        with pytest.raises(ZunError) as raised:
            async with context():
                raise AssertionError("it opened")
        assert facts(raised.value) == facts(error)


async def test_an_error_in_the_middle_comes_after_what_was_said_before(at: Pair) -> None:
    class Breaks(FakeSession):
        async def read(self) -> Any:
            chunk = await super().read()
            if chunk is not None and chunk.data == b"break":
                raise Unavailable("The engine went away.")
            return chunk

    async def says(session: FakeSession, _: object) -> int:
        await session.emit(b"said before")
        await session.emit(b"break")
        await session.received()
        return 0

    node = node_of(at)
    node.session_type, node.main = Breaks, says
    async with at.far.attach(U) as session:
        chunk = await session.read()
        assert chunk is not None
        assert chunk.data == b"said before"
        with pytest.raises(Unavailable, match="engine went away"):
            await session.read()
        with pytest.raises(Unavailable, match="engine went away"):
            await session.exit_code()


async def test_an_exit_code_that_is_not_known_is_none(at: Pair) -> None:
    class Asks(FakeSession):
        async def exit_code(self) -> int | None:
            return None

    async def ends(_: FakeSession, __: object) -> int:
        return 0

    node = node_of(at)
    node.session_type, node.main = Asks, ends
    async with at.far.attach(U) as session:
        assert await session.read() is None
        assert await session.exit_code() is None


async def test_long_and_odd_texts_are_made_harmless(at: Pair) -> None:
    node_of(at).failing["stats"] = Conflict("\x1b[31mred\x00\n" + "ä" * 5000)
    with pytest.raises(Conflict) as raised:
        await at.far.stats(U)
    assert len(raised.value.message) == MOST_CHARACTERS
    assert "\x1b" not in raised.value.message
    assert raised.value.message.endswith("ä…")


async def test_an_answer_that_is_too_long_says_so(at: Pair) -> None:
    class Crowded(FakeNode):
        async def top(self, uuid: str, ps_args: str | None) -> Top:
            return Top(["PID"], [["x" * 1000]] * 2000)

    async with pair(Crowded()) as made:
        with pytest.raises(Invalid) as raised:
            await made.far.top(U, None)
    assert (raised.value.http_status, raised.value.code) == (413, "too-large")


async def test_a_request_that_is_too_long_or_no_text_is_refused_before_it_is_sent(at: Pair) -> None:
    with pytest.raises(Invalid) as raised:
        await at.far.exec_create(U, ExecRequest(["x" * 6_000_000]))
    assert raised.value.http_status == 413
    with pytest.raises(Invalid):
        await at.far.exec_create(U, ExecRequest(["\ud800"]))
    assert node_of(at).asked == []


async def test_odd_bytes_in_a_process_table_are_shown_replaced(at: Pair) -> None:
    class Odd(FakeNode):
        async def top(self, uuid: str, ps_args: str | None) -> Top:
            return Top(["PID", "CMD"], [["1", "half \udcff of it"]])

    async with pair(Odd()) as made:
        assert (await made.far.top(U, None)).processes == [["1", "half ? of it"]]


async def test_what_a_program_error_at_the_node_holds_is_not_told() -> None:
    class Buggy(FakeNode):
        async def stats(self, uuid: str) -> Any:
            raise KeyError("secret")

    async with pair(Buggy()) as made:
        with pytest.raises(Internal) as raised:
            await made.far.stats(U)
    assert "secret" not in raised.value.message


def failing(failure: pb.Failure | bytes, code: grpc.StatusCode = grpc.StatusCode.INTERNAL) -> Any:
    """A call that fails with that trailer."""
    trailer = failure if isinstance(failure, bytes) else failure.SerializeToString()

    async def handler(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(code, "x" * 2000, ((FAILURE_TRAILER, trailer),))
        return b""

    return handler


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (pb.Failure(kind="Denied", status=401), (Denied, 403)),
        (pb.Failure(kind="Invalid", status=401), (Invalid, 400)),
        (pb.Failure(kind="Unavailable", status=200), (Unavailable, 503)),
        (pb.Failure(kind="Internal", status=302), (Internal, 500)),
        (pb.Failure(kind="KeyboardInterrupt"), (Internal, 500)),
        (pb.Failure(kind="ZunError", status=-7), (Internal, 500)),
        (b"\xff\xff\xff nonsense", (Internal, 500)),
    ],
)
async def test_a_captured_node_cannot_choose_odd_errors(
    failure: pb.Failure | bytes, expected: tuple[type[ZunError], int]
) -> None:
    async with lied_to_by(Stats=failing(failure)) as node:
        with pytest.raises(ZunError) as raised:
            await node.stats(U)
    assert (type(raised.value), raised.value.http_status) == expected
    assert raised.value.message


async def test_a_captured_node_cannot_choose_odd_codes_or_endless_texts() -> None:
    lie = pb.Failure(kind="Conflict", code="<script>", message="\x07" * 3000)
    async with lied_to_by(Stats=failing(lie)) as node:
        with pytest.raises(Conflict) as raised:
            await node.stats(U)
    assert raised.value.code == "conflict"
    assert len(raised.value.message) == MOST_CHARACTERS
    assert "\x07" not in raised.value.message


def saying(message: Any) -> Any:
    """A call that is answered with that."""

    async def handler(_: bytes, __: grpc.aio.ServicerContext) -> bytes:
        return message if isinstance(message, bytes) else bytes(message.SerializeToString())

    return handler


@pytest.mark.parametrize(
    "lie",
    [
        pb.StatsSample(cpu_percent=math.nan),
        pb.StatsSample(cpu_percent=math.inf),
        pb.StatsSample(memory_bytes=2**60),
        b"\xff\xff\xff",
    ],
    ids=["nan", "infinite", "giant", "nonsense"],
)
async def test_figures_that_cannot_be_are_not_passed_on(lie: Any) -> None:
    async with lied_to_by(Stats=saying(lie)) as node:
        with pytest.raises(Unavailable, match="nonsense"):
            await node.stats(U)


async def test_other_answers_that_cannot_be_are_not_passed_on() -> None:
    deep = b"[" * 100_000
    async with lied_to_by(
        ExecCreate=saying(pb.ExecCreated(exec_id="../../etc")),
        SearchImages=saying(pb.SearchResult(images=deep)),
        Describe=saying(pb.Description(at=1e300)),
    ) as node:
        with pytest.raises(Unavailable, match="nonsense"):
            await node.exec_create(U, ExecRequest(["true"]))
        with pytest.raises(Unavailable, match="nonsense"):
            await node.search_images("x", exact=False)
        with pytest.raises(Unavailable, match="nonsense"):
            await node.describe()


async def test_an_answer_longer_than_is_taken_is_not_taken() -> None:
    async with lied_to_by(Top=saying(pb.TopTable(titles=["x" * 1_000_000] * 3))) as node:
        with pytest.raises(Internal, match="more at once"):
            await node.top(U, None)


async def test_odd_messages_of_a_stream_end_it() -> None:
    async def odd(_: bytes, context: grpc.aio.ServicerContext) -> None:
        await context.write(pb.Output().SerializeToString())
        await context.write(b"\x0a\x02\x08\x07")  # a chunk of channel 7

    async def nothing(_: bytes, context: grpc.aio.ServicerContext) -> None:
        return

    async with lied_to_by(Logs=odd, GetArchive=nothing) as node:
        async with node.logs(U, LogQuery()) as chunks:
            with pytest.raises(Unavailable, match="nonsense"):
                await anext(chunks)
        with pytest.raises(Unavailable):
            async with node.get_archive(U, "/"):
                raise AssertionError("it opened")


async def test_a_session_that_just_stops_is_no_clean_end() -> None:
    async def stops(_: Any, context: grpc.aio.ServicerContext) -> None:
        await context.read()
        await context.write(pb.Output().SerializeToString())

    async with lied_to_by(Session=stops) as node, node.attach(U) as session:
        with pytest.raises(Unavailable):
            await session.read()
        with pytest.raises(Unavailable):
            await session.exit_code()


async def test_a_call_that_an_older_node_does_not_know_is_unsupported() -> None:
    async with lied_to_by() as node:
        with pytest.raises(Unsupported, match="older version"):
            await node.stats(U)


async def test_a_node_says_nothing_of_containers_to_who_sends_it_nonsense() -> None:
    node = ScriptedNode()
    async with pair(node.live) as made, grpc.aio.insecure_channel(str(made.address)) as channel:
        for name, style in {"Stats": channel.unary_unary, "Logs": channel.unary_stream}.items():
            call = style(f"/zun.node.v1.NodeStreams/{name}")(b"\xff\xff")
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await (call if name == "Stats" else call.read())
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def _nothing() -> AsyncIterator[bytes]:
    yield b""
