# SPDX-License-Identifier: Apache-2.0
"""Connections to ports inside containers: who gets one, bytes and ends both ways, and that neither side hurts the other by being slow or leaving."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import websockets

from support.serving import PATIENCE_SECONDS, Served, served
from support.standing_still import Poured, pouring
from support.stream_pair import until
from zun.api.streams.options import StreamOptions
from zun.drivers.runtime.types import Capability, ExecRequest
from zun.model.errors import Unavailable
from zun.services.nodelive_fake import FakeSession

PROTOCOL = "zun.port.v1"
ECHO = 7


@pytest.fixture
async def at() -> AsyncIterator[Served]:
    async with served() as made:
        yield made


@pytest.fixture
async def hurried() -> AsyncIterator[Served]:
    """A service that waits for nobody."""
    async with served(StreamOptions(stall_seconds=0.3)) as made:
        yield made


async def forward(
    at: Served,
    uuid: str,
    port: object = ECHO,
    who: str | None = "member",
    *,
    kind: str = "containers",
    **options: object,
) -> websockets.ClientConnection:
    headers = {} if who is None else {"X-Auth-Token": who}
    url = f"ws://{at.address}/v1/{kind}/{uuid}/port_forward?port={port}"
    return await at.open(url, PROTOCOL, additional_headers=headers, **options)


async def refusal(
    at: Served, uuid: str, port: object = ECHO, who: str | None = "member", **options: str
) -> tuple[int, str]:
    """How the upgrade is refused: status and title."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await forward(at, uuid, port, who, **options)
    response = refused.value.response
    assert response.headers["x-openstack-request-id"].startswith("req-")
    body = json.loads(response.body or b"")
    said = body["errors"][0]["title"] if "errors" in body else body["error"]["message"]
    return response.status_code, said


async def drained(socket: websockets.ClientConnection) -> None:
    """Hear all there is. Raises how it ends."""
    while True:
        await socket.recv()


async def closed(socket: websockets.ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await socket.wait_closed()
    return socket.close_code, socket.close_reason


def all_left(at: Served) -> bool:
    return at.api.node.open_sessions == 0


async def deaf(session: FakeSession, _: ExecRequest | None) -> int:
    await asyncio.get_running_loop().create_future()
    return 0


# Who gets one


async def test_a_connection_carries_bytes_and_the_end_of_each_way(at: Served) -> None:
    async with await forward(at, await at.api.running()) as socket:
        assert socket.subprotocol == PROTOCOL
        assert socket.response is not None
        assert socket.response.headers["x-openstack-request-id"].startswith("req-")
        await socket.send(bytes(range(256)))
        assert await socket.recv() == bytes(range(256))
        await socket.send("end")
        assert await socket.recv() == "end"
        assert await closed(socket) == (1000, "")
    await until(lambda: all_left(at))


async def test_a_capsule_and_each_of_its_containers_is_reached(at: Served) -> None:
    capsule, inside = await at.api.running_capsule()
    for kind, uuid in (("capsules", capsule), ("containers", inside)):
        async with await forward(at, uuid, kind=kind) as socket:
            await socket.send(b"hello")
            assert await socket.recv() == b"hello"
    assert {call[1] for call in at.api.node.asked if call[0] == "port_forward"} == {inside}
    assert (await refusal(at, capsule))[0] == 404
    assert (await refusal(at, inside, kind="capsules"))[0] == 404


async def test_only_those_who_may_run_commands_in_it_get_in(at: Served) -> None:
    uuid = await at.api.running()
    assert (await refusal(at, uuid, who=None))[0] == 401
    assert (await refusal(at, uuid, who="invented"))[0] == 401
    assert (await refusal(at, uuid, who="reader"))[0] == 403
    other, nothing = await refusal(at, uuid, who="other"), await refusal(at, "nothing", who="other")
    assert other[0] == nothing[0] == 404
    assert other[1].replace(uuid, "nothing") == nothing[1]
    async with await forward(at, uuid, who="admin"):
        pass
    assert at.api.node.open_sessions <= 1


async def test_a_port_is_a_number_from_1_to_65535(at: Served) -> None:
    uuid = await at.api.running()
    for port in ("0", "65536", "-1", "http", "", "7&port=x", "7&more=1"):
        assert (await refusal(at, uuid, port))[0] == 400
    assert not [call for call in at.api.node.asked if call[0] == "port_forward"]


async def test_a_port_that_nobody_listens_on_is_refused_before_the_upgrade(at: Served) -> None:
    status, said = await refusal(at, await at.api.running(), 8)
    assert status == 409
    assert "port 8" in said


async def test_what_does_not_run_is_refused(at: Served) -> None:
    made = await at.api.create()
    status, said = await refusal(at, made["uuid"])
    assert (status, "state" in said) == (409, True)


async def test_a_node_that_cannot_is_named(at: Served) -> None:
    uuid = await at.api.running()
    lacking = [str(one) for one in Capability if one is not Capability.PORT_FORWARD]
    await at.api.world.node(capabilities=lacking)
    status, said = await refusal(at, uuid)
    assert (status, "n1" in said) == (400, True)


async def test_a_node_that_is_away_is_told_before_the_upgrade(at: Served) -> None:
    at.api.node.failing["port_forward"] = Unavailable("The node is away.")
    assert await refusal(at, await at.api.running()) == (503, "The node is away.")


async def test_a_plain_request_is_told_that_all_is_well_but_for_the_upgrade(at: Served) -> None:
    path = f"/v1/containers/{await at.api.running()}/port_forward"
    answers = {
        who: (await at.clients[who].get(path, params={"port": 80})).status_code for who in ("member", "reader", "other")
    }
    assert answers == {"member": 426, "reader": 403, "other": 404}
    assert (await at.member.get(path, params={"port": 0})).status_code == 400
    assert not [call for call in at.api.node.asked if call[0] == "port_forward"]


async def test_other_urls_are_no_sockets(at: Served) -> None:
    for path in ("/v1/containers", "/v1/watch", "/v1/port_forward"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await at.open(f"ws://{at.address}{path}", PROTOCOL, additional_headers={"X-Auth-Token": "admin"})
        assert refused.value.response.status_code == 403


# Ends


async def test_what_the_container_says_after_our_end_still_comes(at: Served) -> None:
    async def count(session: FakeSession, _: ExecRequest | None) -> int:
        total = 0
        while (data := await session.received()) is not None:
            total += len(data)
        await session.emit(str(total).encode())
        return 0

    at.api.node.listening[80] = count
    async with await forward(at, await at.api.running(), 80) as socket:
        for _ in range(100):
            await socket.send(b"x" * 10_000)
        await socket.send("end")
        assert await socket.recv() == b"1000000"
        assert await socket.recv() == "end"
        assert (await closed(socket))[0] == 1000


async def test_a_container_that_has_ended_is_let_go_though_the_client_says_nothing(hurried: Served) -> None:
    async def brief(session: FakeSession, _: ExecRequest | None) -> int:
        await session.emit(b"bye")
        return 0

    hurried.api.node.listening[80] = brief
    async with await forward(hurried, await hurried.api.running(), 80) as socket:
        assert await socket.recv() == b"bye"
        assert await socket.recv() == "end"
        assert (await closed(socket))[0] == 1000
    await until(lambda: all_left(hurried))


async def test_what_a_container_that_has_ended_takes_no_more_is_dropped(at: Served) -> None:
    async def refuses(session: FakeSession, _: ExecRequest | None) -> int:
        await session.emit(b"too much")
        return 0

    at.api.node.listening[80] = refuses
    async with await forward(at, await at.api.running(), 80) as socket:
        assert await socket.recv() == b"too much"
        assert await socket.recv() == "end"
        await socket.send(b"and more")
        await socket.send("end")
        assert (await closed(socket))[0] == 1000


async def test_a_connection_that_breaks_is_closed_with_the_reason(at: Served) -> None:
    class Broken(FakeSession):
        async def read(self) -> None:
            raise Unavailable("The container ended the connection.")

    at.api.node.session_type = Broken
    async with await forward(at, await at.api.running()) as socket:
        assert await closed(socket) == (1011, "The container ended the connection.")
    await until(lambda: all_left(at))


async def test_text_that_is_not_the_end_breaks_the_rules(at: Served) -> None:
    async with await forward(at, await at.api.running()) as socket:
        await socket.send("hello")
        assert (await closed(socket))[0] == 1002
    await until(lambda: all_left(at))


async def test_a_client_that_leaves_ends_the_connection(at: Served) -> None:
    at.api.node.listening[80] = deaf
    async with await forward(at, await at.api.running(), 80) as socket:
        await until(lambda: at.api.node.open_sessions == 1)
        socket.transport.abort()
        await until(lambda: all_left(at))


async def test_when_the_service_stops_connections_end_at_once(at: Served) -> None:
    async with await forward(at, await at.api.running()) as socket:
        at.api.lifetime.end()
        code, reason = await closed(socket)
        assert (code, "stops" in (reason or "")) == (1012, True)
    await until(lambda: all_left(at))


# Slow ones


async def test_a_container_that_says_much_waits_for_its_client(at: Served) -> None:
    said = Poured()

    async def flood(session: FakeSession, _: ExecRequest | None) -> int:
        await said.pour(session.emit)
        return 0

    at.api.node.listening[80] = flood
    async with await forward(at, await at.api.running(), 80, max_queue=1) as socket:
        before = await said.standstill()
        assert before < 32 * 2**20
        for _ in range(100):
            await socket.recv()
        await until(lambda: said.total > before)
        socket.transport.abort()
    await until(lambda: all_left(at))


async def test_a_client_that_says_much_waits_for_the_container(at: Served) -> None:
    at.api.node.listening[80] = deaf
    async with await forward(at, await at.api.running(), 80) as socket:
        async with pouring(socket.send) as sent:
            assert await sent.standstill() < 32 * 2**20
        socket.transport.abort()


async def test_a_container_that_takes_nothing_for_too_long_is_given_up(hurried: Served) -> None:
    hurried.api.node.listening[80] = deaf
    async with await forward(hurried, await hurried.api.running(), 80) as socket:
        for _ in range(10):
            await socket.send(b"x")
        assert await closed(socket) == (1011, "The container took nothing for too long.")
    await until(lambda: all_left(hurried))


async def test_a_client_that_takes_nothing_for_too_long_is_cut(hurried: Served) -> None:
    async def flood(session: FakeSession, _: ExecRequest | None) -> int:
        while True:
            await session.emit(b"x" * 65536)

    hurried.api.node.listening[80] = flood
    async with await forward(hurried, await hurried.api.running(), 80, max_queue=1) as socket:
        await until(lambda: hurried.api.node.open_sessions == 1)
        await until(lambda: all_left(hurried))
        with pytest.raises(websockets.ConnectionClosedError):  # not an end that could be taken for a good one
            await drained(socket)


async def test_a_connection_that_is_silent_both_ways_lasts(hurried: Served) -> None:
    async with await forward(hurried, await hurried.api.running()) as socket:
        await asyncio.sleep(1)  # three times as long as anybody may take nothing
        await socket.send(b"still there")
        assert await socket.recv() == b"still there"
