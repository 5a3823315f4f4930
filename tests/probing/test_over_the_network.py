# SPDX-License-Identifier: Apache-2.0
"""Probes over the network: what counts as well, and what a container cannot make its node do."""

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.certificates import TestAuthority
from zun.agent.options import AgentOptions
from zun.agent.probing.asking import asker
from zun.agent.probing.network import connect, get, may_be_asked
from zun.agent.probing.subject import Subject
from zun.base.clock import SystemClock
from zun.drivers.runtime.fake import FakeRuntime
from zun.model.probes import HttpGet, Probe

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HERE = "127.0.0.1"


class Server:
    """Somebody who listens on loopback; keeps the requests it got."""

    def __init__(self) -> None:
        self.port = 0
        self.heard: list[str] = []


@asynccontextmanager
async def serving(answer: bytes | Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    found = Server()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            found.heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, HERE, 0, ssl=tls)
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


def saying(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} Some", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def elsewhere(other: Server) -> bytes:
    return saying(302, f"Location: http://{HERE}:{other.port}/secret")


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (204, True), (399, True), (400, False), (404, False), (503, False)]
)
async def test_codes_from_200_to_399_are_well(status: int, well: bool) -> None:
    async with serving(saying(status)) as server:
        answer = await get(HERE, HttpGet(port=server.port, path="/healthz?full=1"), 5)
    assert answer.well is well
    assert well or str(status) in answer.text
    assert server.heard[0].startswith("GET /healthz?full=1 HTTP/1.1\r\n")


async def test_a_redirection_counts_and_is_not_followed() -> None:
    async with serving(saying(200)) as other, serving(elsewhere(other)) as server:
        answer = await get(HERE, HttpGet(port=server.port), 5)
    assert answer.well
    assert (len(server.heard), other.heard) == (1, [])


async def test_headers_are_those_asked_for() -> None:
    async with serving(saying(200)) as server:
        await get(
            HERE, HttpGet(port=server.port, headers=[("Host", "shop.test"), ("User-Agent", "me"), ("X-A", "1")]), 5
        )
    told = server.heard[0].lower().split("\r\n")
    assert {"host: shop.test", "user-agent: me", "x-a: 1"} <= set(told)
    assert len([line for line in told if line.startswith(("host:", "user-agent:"))]) == 2


async def test_no_proxy_is_asked_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(saying(500)) as proxy, serving(saying(200)) as server:
        monkeypatch.setenv("http_proxy", f"http://{HERE}:{proxy.port}")
        answer = await get(HERE, HttpGet(port=server.port), 5)
    assert answer.well
    assert proxy.heard == []


async def endless_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def endless_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 4096 + b"\r\n")
        await writer.drain()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
    await writer.drain()


async def test_of_an_endless_answer_the_beginning_is_enough() -> None:
    async with serving(endless_body) as server:
        assert (await get(HERE, HttpGet(port=server.port), 20)).well


@pytest.mark.parametrize(
    ("talk", "words"), [(endless_head, "HTTP"), (nonsense, "HTTP"), (silence, "within 0.2 seconds")]
)
async def test_what_is_no_answer_is_not_well(talk: Talk, words: str) -> None:
    async with serving(talk) as server:
        answer = await get(HERE, HttpGet(port=server.port), 0.2 if talk is silence else 20)
    assert answer.well is False
    assert words in answer.text


async def test_over_tls_any_certificate_will_do(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = TestAuthority(tmp_path).control()
    context.load_cert_chain(files.certificate, files.key)
    async with serving(saying(200), context) as server:
        assert (await get(HERE, HttpGet(port=server.port, tls=True), 10)).well
    async with serving(saying(200)) as plain:
        answer = await get(HERE, HttpGet(port=plain.port, tls=True), 0.5)
    assert answer.well is False


async def test_a_port_that_takes_connections_is_well_and_one_that_does_not_is_not() -> None:
    async with serving(silence) as server:
        assert (await connect(HERE, server.port, 5)).well
    answer = await connect(HERE, server.port, 5)
    assert (answer.well, answer.text) == (False, "the connection was refused")
    assert (await get(HERE, HttpGet(port=server.port), 5)).text == "the connection was refused"


async def test_a_node_that_has_no_files_left_says_nothing_about_its_containers() -> None:
    async with serving(saying(200)) as server:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        await get(HERE, HttpGet(port=server.port), 5)  # loads what it needs
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            over_http, over_tcp = await get(HERE, HttpGet(port=server.port), 5), await connect(HERE, server.port, 5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (over_http.well, over_tcp.well) == (None, None)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.0.0.3", True), ("fd00::3", True), ("203.0.113.9", True),
        ("127.0.0.1", False), ("::1", False), ("0.0.0.0", False), ("::", False), ("::ffff:127.0.0.1", False),
        ("169.254.169.254", False), ("fe80::1", False), ("224.0.0.1", False), ("", False), ("localhost", False),
    ],
)  # fmt: skip
def test_only_addresses_that_a_container_can_have_are_asked(address: str, may: bool) -> None:
    assert may_be_asked(address) is may


@pytest.mark.parametrize("probe", [Probe(http=HttpGet(port=1)), Probe(tcp=1)])
async def test_the_node_itself_is_asked_nothing_even_where_an_engine_names_it(probe: Probe) -> None:
    ask = asker(FakeRuntime(SystemClock()).streams, AgentOptions())
    async with serving(saying(200)) as server:
        http = probe.http and HttpGet(port=server.port)
        asked = Probe(http=http, tcp=0 if http else server.port)
        answer = await ask(Subject("u", "h", None, (), lambda: HERE), asked)
    assert (answer.well, answer.text, server.heard) == (False, "it has no address to be asked at", [])
