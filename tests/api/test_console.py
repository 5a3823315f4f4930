# SPDX-License-Identifier: Apache-2.0
"""The console: who gets in, both sub-protocols, and that neither side can hurt the other by being slow or leaving."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import websockets

from support.serving import PATIENCE_SECONDS, Served, served
from support.standing_still import Poured, pouring
from support.stream_pair import until
from zun.api.streams.options import StreamOptions
from zun.drivers.runtime.types import Channel, ExecRequest
from zun.model.errors import Unavailable
from zun.services.nodelive_fake import FakeSession


@pytest.fixture
async def at() -> AsyncIterator[Served]:
    async with served(StreamOptions(console_allowed_origins=("dashboard.example",))) as made:
        yield made


@pytest.fixture
async def hurried() -> AsyncIterator[Served]:
    """A service that waits for nobody."""
    async with served(StreamOptions(stall_seconds=0.3)) as made:
        yield made


async def attach_url(at: Served) -> str:
    uuid = await at.api.running(interactive=True)
    url = (await at.member.get(f"/v1/containers/{uuid}/attach")).json()
    assert url.startswith(f"ws://{at.address}/v1/console?token=")
    return str(url)


async def exec_url(at: Served, program: Callable[[FakeSession, ExecRequest | None], Awaitable[int]]) -> str:
    uuid = await at.api.running()
    at.api.node.programs["sh"] = program
    body = {"command": "sh", "run": False, "interactive": True}
    answer = (await at.member.post(f"/v1/containers/{uuid}/execute", json=body)).json()
    assert f"&exec_id={answer['exec_id']}" in answer["proxy_url"]
    return str(answer["proxy_url"])


def all_left(at: Served) -> bool:
    return at.api.node.open_sessions == 0


async def end_of(socket: websockets.ClientConnection) -> tuple[int | None, str | None]:
    """How the service closed the socket."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await socket.wait_closed()
    return socket.close_code, socket.close_reason


# Who gets in


async def test_the_sub_protocol_is_one_that_was_offered(at: Served) -> None:
    for offered, chosen in (
        (["binary", "base64"], "binary"),
        (["zun.v1"], "zun.v1"),
        (["binary", "zun.v1"], "zun.v1"),
        (["base64"], None),
        ([], None),
    ):
        async with await at.open(await attach_url(at), *offered) as socket:
            assert socket.subprotocol == chosen


async def test_a_console_url_opens_once(at: Served) -> None:
    url = await attach_url(at)
    async with await at.open(url, "binary"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await at.open(url, "binary")
    assert refused.value.response.status_code == 403
    body = json.loads(refused.value.response.body or b"")
    assert "was used" in body["errors"][0]["title"]


async def test_a_wrong_url_is_refused_before_the_upgrade(at: Served) -> None:
    changes: list[tuple[Callable[[str], str], int]] = [
        (lambda url: url.replace("token=", "token=x"), 403),
        (lambda url: url.replace("uuid=", "uuid=x"), 400),
        (lambda url: url.partition("?")[0], 400),
        (lambda url: url + "&exec_id=" + "0" * 64, 403),
        (lambda url: url + "&a=1" * 100, 400),
        (lambda url: url.replace("/v1/console", "/v1/nothing"), 403),
    ]
    for change, status in changes:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await at.open(change(await attach_url(at)), "binary")
        assert refused.value.response.status_code == status
    assert all_left(at)


async def test_web_pages_get_in_from_known_hosts_only(at: Served) -> None:
    welcome = (None, f"http://{at.address}", "http://127.0.0.1", "http://dashboard.example")
    for origin in welcome:
        async with await at.open(await attach_url(at), "binary", origin=origin):
            pass
    unwelcome = (f"https://{at.address}", "https://dashboard.example", "http://evil.example", "null", "http://[")
    url = await attach_url(at)
    for origin in unwelcome:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await at.open(url, "binary", origin=origin)
        assert refused.value.response.status_code == 403
    async with await at.open(url, "binary"):  # the token was not used up by them
        pass


async def test_behind_a_proxy_that_speaks_tls_the_origin_is_https(at: Served) -> None:
    url = await attach_url(at)
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example"}
    async with await at.open(url, "binary", origin="https://cloud.example", additional_headers=forwarded):
        pass


async def test_a_host_that_was_let_in_once_is_not_remembered(at: Served) -> None:
    forwarded = {"X-Forwarded-Host": "cloud.example"}
    async with await at.open(
        await attach_url(at), "binary", origin="http://cloud.example", additional_headers=forwarded
    ):
        pass
    with pytest.raises(websockets.InvalidStatus):
        await at.open(await attach_url(at), "binary", origin="http://cloud.example")


async def test_a_node_that_is_away_is_told_before_the_upgrade(at: Served) -> None:
    url = await attach_url(at)

    async def away(*_: object) -> None:
        raise Unavailable("The engine is away.")

    at.api.node._answer = away  # type: ignore[method-assign]
    with pytest.raises(websockets.InvalidStatus) as refused:
        await at.open(url, "binary")
    assert refused.value.response.status_code == 503


# Sub-protocol binary


async def test_binary_carries_bytes_both_ways_and_closes_when_the_process_ends(at: Served) -> None:
    everything = bytes(range(256))

    async def twice(session: FakeSession, _: ExecRequest | None) -> int:
        data = await session.received() or b""
        await session.emit(data)
        await session.emit(b"err", Channel.STDERR)
        return 7

    async with await at.open(await exec_url(at, twice), "binary") as socket:
        await socket.send(everything)
        assert await socket.recv() == everything
        assert await socket.recv() == b"err"
        assert await end_of(socket) == (1000, "")
    await until(lambda: all_left(at))


async def test_text_that_a_browser_sends_is_input_too(at: Served) -> None:
    async with await at.open(await attach_url(at), "binary") as socket:
        await socket.send("käse")
        assert await socket.recv() == "käse".encode()


# Sub-protocol zun.v1


async def test_zun_v1_tells_stdout_from_stderr_and_the_exit_code(at: Served) -> None:
    async def mixed(session: FakeSession, _: ExecRequest | None) -> int:
        await session.emit(b"out")
        await session.emit(b"\xff\x00", Channel.STDERR)
        return 42

    async with await at.open(await exec_url(at, mixed), "zun.v1") as socket:
        assert await socket.recv() == b"\x01out"
        assert await socket.recv() == b"\x02\xff\x00"
        last = await socket.recv()
        assert isinstance(last, bytes)
        assert last[:1] == b"\x03"
        assert json.loads(last[1:]) == {"exit_code": 42}
        assert await end_of(socket) == (1000, "")


async def test_zun_v1_carries_the_end_of_input(at: Served) -> None:
    async def count(session: FakeSession, _: ExecRequest | None) -> int:
        total = 0
        while (data := await session.received()) is not None:
            total += len(data)
        await session.emit(str(total).encode())
        return 0

    async with await at.open(await exec_url(at, count), "zun.v1") as socket:
        for _ in range(100):
            await socket.send(b"\x00" + b"x" * 1000)
        await socket.send(b"\x00")
        await socket.send(b"\x05")
        assert await socket.recv() == b"\x01100000"
        last = await socket.recv()
        assert last == b'\x03{"exit_code":0}'


async def test_zun_v1_resizes_the_terminal_even_while_input_waits(at: Served) -> None:
    gate = asyncio.Event()

    async def busy(session: FakeSession, _: ExecRequest | None) -> int:
        await gate.wait()
        return 0

    async with await at.open(await exec_url(at, busy), "zun.v1") as socket:
        for _ in range(20):
            await socket.send(b"\x00typed ahead")
        await socket.send(b"\x04" + json.dumps({"width": 132, "height": 50}).encode())
        await until(lambda: bool(at.api.node.last_session and at.api.node.last_session.sizes == [(132, 50)]))
        gate.set()
        assert (await end_of(socket))[0] == 1000


async def test_a_frame_that_nobody_may_send_ends_the_session_with_a_reason(at: Served) -> None:
    sizes = (b"\x04nonsense", b'\x04{"width":0,"height":1}', b'\x04{"width":1}')
    for frame in (b"", b"\x01x", b"\x07", b"\xff", *sizes):
        async with await at.open(await attach_url(at), "zun.v1") as socket:
            await socket.send(frame)
            code, reason = await end_of(socket)
            assert code == 1002
            assert reason
    await until(lambda: all_left(at))


async def test_a_failure_of_the_node_is_told_in_the_last_frame(at: Served) -> None:
    async def breaks(session: FakeSession, _: ExecRequest | None) -> int:
        await session.emit(b"x")
        return 0

    class Broken(FakeSession):
        async def read(self) -> None:
            raise Unavailable("The engine went away.")

    url = await exec_url(at, breaks)
    at.api.node.session_type = Broken
    async with await at.open(url, "zun.v1") as socket:
        last = await socket.recv()
        assert last == b'\x03{"exit_code":null,"reason":"The engine went away."}'
        assert await end_of(socket) == (1011, "The engine went away.")


# Slow and vanished ones


async def test_a_client_that_leaves_frees_the_session_and_closes_a_commands_input(at: Served) -> None:
    ended = asyncio.Event()

    async def shell(session: FakeSession, _: ExecRequest | None) -> int:
        while await session.received() is not None:
            pass
        ended.set()
        return 0

    async with await at.open(await exec_url(at, shell), "binary") as socket:
        await until(lambda: at.api.node.open_sessions == 1)
        socket.transport.abort()
        await until(lambda: all_left(at))
    assert ended.is_set()


async def test_a_client_that_leaves_an_attached_container_leaves_its_input_open(at: Served) -> None:
    heard: list[bytes | None] = []

    async def main(session: FakeSession, _: ExecRequest | None) -> int:
        while True:
            heard.append(await session.received())

    at.api.node.main = main
    async with await at.open(await attach_url(at), "binary") as socket:
        await socket.send(b"hi")
        await until(lambda: heard == [b"hi"])
    await until(lambda: all_left(at))
    assert heard == [b"hi"]


async def test_a_process_that_prints_fast_waits_for_its_client(at: Served) -> None:
    printed = Poured()

    async def flood(session: FakeSession, _: ExecRequest | None) -> int:
        await printed.pour(session.emit)
        return 0

    async with await at.open(await exec_url(at, flood), "binary", max_queue=1, max_size=2**20) as socket:
        before = await printed.standstill()
        assert before < 32 * 2**20
        for _ in range(100):
            await socket.recv()
        await until(lambda: printed.total > before)
        socket.transport.abort()
    await until(lambda: all_left(at))


async def test_a_client_that_sends_fast_waits_for_the_process(at: Served) -> None:
    async def deaf(session: FakeSession, _: ExecRequest | None) -> int:
        return await asyncio.get_running_loop().create_future()

    async with await at.open(await exec_url(at, deaf), "binary") as socket:
        async with pouring(socket.send) as sent:
            assert await sent.standstill() < 32 * 2**20
        socket.transport.abort()


async def test_a_client_that_takes_nothing_for_too_long_is_cut(hurried: Served) -> None:
    async def flood(session: FakeSession, _: ExecRequest | None) -> int:
        while True:
            await session.emit(b"x" * 65536)

    async with await hurried.open(await exec_url(hurried, flood), "binary", max_queue=1) as socket:
        await until(lambda: hurried.api.node.open_sessions == 1)
        await until(lambda: all_left(hurried))
        socket.transport.abort()


async def test_when_the_service_stops_consoles_end_at_once(at: Served) -> None:
    async with await at.open(await attach_url(at), "binary") as socket:
        await until(lambda: at.api.node.open_sessions == 1)
        at.api.lifetime.end()
        code, reason = await end_of(socket)
        assert code == 1012
        assert "stops" in (reason or "")
    await until(lambda: all_left(at))
